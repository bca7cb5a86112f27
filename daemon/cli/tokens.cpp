// `tokens`: how many tokens each line of a file is.
#include "cli/context.hpp"
#include "cli/input_file.hpp"
#include "cli/line_reader.hpp"
#include "core/json_scan.hpp"
#include "tokens/body.hpp"
#include "tokens/vocabularies.hpp"

#include <boost/json.hpp>

#include <map>
#include <utility>

namespace batchd {
namespace {

/// So many models have a counter of their own at a time.
constexpr std::size_t most_counters = 16;

class LineCounter {
 public:
  LineCounter(const std::string& dir, std::optional<Encoding> encoding)
      : vocabularies_(dir, [this](const std::string& problem) { problem_ = problem; }), encoding_(encoding) {}

  struct Count {
    Encoding encoding;
    Tokens tokens;
  };
  /// Of a line that is one JSON object.
  Count count(std::string_view line) {
    const auto text = find_member(line, "text");
    if (text && is_json_string(*text))
      return count_with({}, [&](BodyCounter& c) { return c.count_text(decode_json_string(*text)); });
    const auto member = find_member(line, "body");
    const std::string_view body = member && is_json_object(*member) ? *member : line;
    BodyKind kind;
    if (const auto model = find_member(body, "model")) kind.model = decode_json_string(*model);
    if (const auto url = member ? find_member(line, "url") : std::nullopt) kind.endpoint = decode_json_string(*url);
    return count_with(kind, [&](BodyCounter& c) { return c.count(body); });
  }

 private:
  template <class How>
  Count count_with(const BodyKind& kind, How how) {
    const Encoding encoding = encoding_.value_or(encoding_of(kind.model));
    const std::pair key{kind.model, kind.endpoint};
    auto found = counters_.find(key);
    if (found == counters_.end()) {
      if (counters_.size() >= most_counters) counters_.clear();
      found = counters_.try_emplace(key, vocabulary(encoding), kind).first;
    }
    return {encoding, how(found->second)};
  }

  const Vocabulary& vocabulary(Encoding encoding) {
    if (const Vocabulary* vocabulary = vocabularies_.get(encoding)) return *vocabulary;
    throw CommandError(exit_failure, problem_.empty()
                                         ? "there is no vocabulary to count by: deploy/fetch-vocabulary DIR fetches it, "
                                           "[tokens] vocabulary_dir (BATCHD_TOKENS_VOCABULARY_DIR) names the folder"
                                         : problem_);
  }

  std::string problem_;
  Vocabularies vocabularies_;
  std::optional<Encoding> encoding_;
  std::map<std::pair<std::string, std::string>, BodyCounter> counters_;  // by model and endpoint
};

/// What keeps a line from being counted, "" when nothing does.
std::string what_is_wrong(std::string_view line, bool too_long) {
  if (too_long) return "longer than 200 MB";
  if (!valid_utf8(line)) return "not UTF-8";
  JsonObjectReader reader(line);
  JsonMember member;
  while (reader.next(member)) {
  }
  return reader.ok() ? "" : "not a JSON object";
}

}  // namespace

int run_tokens(const CommonOptions& common, const TokensOptions& options) {
  const auto encoding = parse_encoding(options.encoding);
  if (!options.encoding.empty() && !encoding) {
    throw CommandError(exit_usage, "there is no encoding '" + options.encoding + "'; known are o200k_base and cl100k_base");
  }
  const LoadedConfig loaded = require_config(common, ConfigScope::tokens);
  const InputFile file(options.file);
  LineCounter counter(find_vocabulary_dir(loaded.config.tokens.vocabulary_dir), encoding);
  LineReader reader(file.fd(), longest_input_line);
  std::string line;
  std::string out;
  boost::json::array counts;
  Tokens total = 0;
  int bad = 0;
  while (reader.next(line)) {
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const std::string wrong = what_is_wrong(line, reader.too_long());
    if (!wrong.empty()) {
      if (++bad <= most_complaints) say("batchd: line " + std::to_string(reader.number()) + ": " + wrong);
      continue;
    }
    const LineCounter::Count count = counter.count(line);
    total += count.tokens;
    if (options.json) {
      counts.push_back({{"line", reader.number()}, {"tokens", count.tokens}, {"encoding", to_string(count.encoding)}});
      continue;
    }
    out += std::to_string(count.tokens) + "\n";
    if (out.size() < 60'000) continue;
    print(out);
    out.clear();
  }
  if (options.json) out = boost::json::serialize(boost::json::object{{"tokens", total}, {"counts", std::move(counts)}}) + "\n";
  print(out);
  if (bad > most_complaints) say("batchd: and " + grouped(bad - most_complaints) + " more lines that cannot be counted");
  return bad == 0 ? exit_ok : exit_failure;
}

}  // namespace batchd
