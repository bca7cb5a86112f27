#include "input_check.hpp"

#include <algorithm>
#include <cstring>

namespace sim {
namespace {

constexpr std::size_t most_errors = 100;
constexpr std::uint32_t most_requests = 100'000;  ///< of any dialect; more are counted but not remembered
constexpr std::size_t longest_line = 64 * 1024 * 1024;
constexpr std::size_t flush_bytes = 256 * 1024;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

}  // namespace

InputCheck::InputCheck(const TokenCounter& counter, bool strict, const std::string& spool_dir)
    : reader_(counter, strict), facts_(std::make_shared<InputFacts>()) {
  facts_->records = std::make_unique<SpoolFile>(spool_dir);
}

void InputCheck::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto* const newline = static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
    if (newline == nullptr) return carry(bytes);
    const auto part = bytes.substr(0, static_cast<std::size_t>(newline - bytes.data()));
    bytes.remove_prefix(part.size() + 1);
    if (carry_.empty()) {
      line(part);
    } else {
      carry(part);
      line(carry_);
      if (carry_.capacity() > flush_bytes) carry_ = std::string();  // a line with images may have been 20 MB long
      carry_.clear();
    }
  }
}

/// Keeps no more of a line than shows that it is too long.
void InputCheck::carry(std::string_view part) {
  carry_.append(part.substr(0, longest_line + 1 - std::min(longest_line + 1, carry_.size())));
}

std::shared_ptr<const InputFacts> InputCheck::finish() {
  if (!carry_.empty()) line(carry_);
  flush();
  return std::move(facts_);
}

void InputCheck::line(std::string_view text) {
  if (!started_ && text.starts_with(byte_order_mark)) {
    facts_->has_bom = true;
    text.remove_prefix(byte_order_mark.size());
  }
  started_ = true;
  ++facts_->requests;
  if (text.size() > longest_line)
    return report({"invalid_json_line", "This line is longer than 64 MiB, the most that the simulator reads.", {}, {}});
  reader_.check(text);
  if (reader_.error()) return report(*reader_.error());
  accept(reader_);
}

void InputCheck::accept(const RequestLine& read) {
  auto& facts = *facts_;
  const auto& record = read.record();
  if (facts.url.empty()) facts.url = read.url();
  if (facts.model.empty()) facts.model = read.model();
  if (read.url() != facts.url) {
    return report(
        {"url_mismatch", "The url '" + read.url() + "' differs from '" + facts.url + "' of the lines before.", {}, "url"});
  }
  if (read.model() != facts.model) {
    return report({"model_mismatch",
                   "The model '" + read.model() + "' differs from '" + facts.model + "' of the lines before.",
                   {},
                   "model"});
  }
  if (!ids_.insert(hash_of(record.custom_id()))) {
    return report({"duplicate_custom_id",
                   "The custom_id '" + std::string(record.custom_id()) + "' stands twice in the file.",
                   {},
                   "custom_id"});
  }
  facts.tokens += record.tokens;
  facts.will_fail += counts_as_completed(record.outcome) ? 0 : 1;
  if (read.poison() != Poison::none && facts.poisoned.size() < most_errors)
    facts.poisoned.push_back({read.poison(), facts.requests});
  if (facts.requests > most_requests) return;
  records_.append(reinterpret_cast<const char*>(&record), sizeof record);
  if (records_.size() >= flush_bytes) flush();
}

void InputCheck::report(InputError error) {
  if (facts_->errors.size() >= most_errors) return;
  error.line = facts_->requests;
  facts_->errors.push_back(std::move(error));
}

void InputCheck::flush() {
  facts_->records->append(records_);
  records_.clear();
}

}  // namespace sim
