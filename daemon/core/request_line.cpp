#include "core/request_line.hpp"

#include "core/json_scan.hpp"

#include <algorithm>
#include <vector>

namespace batchd {
namespace {

/// Appends `text` with its raw line breaks turned into blanks; inside strings JSON allows none.
void append_on_one_line(std::string& out, std::string_view text) {
  const std::size_t start = out.size();
  out.append(text);
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

/// The parts of a body that are not its model's value, in order.
struct SplitBody {
  std::vector<std::string_view> models;  ///< raw values of every top-level `model`
  bool empty = true;
};

std::optional<Rejection> inspect(std::string_view body, SplitBody& split) {
  if (!valid_utf8(body)) return Rejection{"invalid_body", "the body is not valid UTF-8"};
  JsonObjectReader reader(body);
  JsonMember member;
  bool stream = false;
  while (reader.next(member)) {
    split.empty = false;
    if (json_key_is(member.key, "model")) split.models.push_back(member.value);
    if (json_key_is(member.key, "stream")) stream = member.value == "true";
  }
  if (!reader.ok()) {
    return Rejection{"invalid_body",
                     "the body must be a JSON object (nested at most " + std::to_string(max_json_depth) + " deep)"};
  }
  if (stream)
    return Rejection{"streaming_not_supported", "the body has \"stream\": true, which batches do not support; leave it out"};
  return std::nullopt;
}

void append_body(std::string& out, std::string_view body, const SplitBody& split, const std::string& model) {
  if (split.models.empty()) {
    const std::size_t brace = body.find('{');
    out += "{\"model\":" + model;
    if (!split.empty) out += ',';
    append_on_one_line(out, body.substr(brace + 1));
    return;
  }
  const char* from = body.data();
  for (const std::string_view value : split.models) {
    append_on_one_line(out, {from, static_cast<std::size_t>(value.data() - from)});
    out += model;
    from = value.data() + value.size();
  }
  append_on_one_line(out, {from, static_cast<std::size_t>(body.data() + body.size() - from)});
}

}  // namespace

std::int64_t embedding_inputs(std::string_view body) {
  const auto input = find_member(body, "input");
  if (!input || !input->starts_with('[')) return 1;
  std::int64_t inputs = 0;
  for (std::size_t at = 1;;) {
    at = std::min(input->find_first_not_of(" \t\r\n,", at), input->size());
    const bool element = at < input->size() && ((*input)[at] == '"' || (*input)[at] == '[');
    const auto end = element ? skip_json_value(*input, at) : std::nullopt;
    if (!end) return std::max<std::int64_t>(inputs, 1);
    ++inputs;
    at = *end;
  }
}

Bytes line_overhead(const LineTarget& target) {
  // {"custom_id":"…","method":"POST","url":"…","body":…} and a newline; an id has 19 digits at most, an attempt 6 here.
  constexpr Bytes fixed = 58 + 19 + 1 + 6 + 10;
  return fixed + static_cast<Bytes>(target.url.size() + json_quote(target.model).size());
}

std::optional<Rejection> append_request_line(std::string& out, const CustomId& id, const LineTarget& target,
                                             std::string_view body) {
  SplitBody split;
  if (auto rejection = inspect(body, split)) return rejection;
  const std::size_t start = out.size();
  out += "{\"custom_id\":\"" + to_string(id) + "\",\"method\":\"POST\",\"url\":" + json_quote(target.url) + ",\"body\":";
  append_body(out, body, split, json_quote(target.model));
  out += "}\n";
  const auto size = static_cast<Bytes>(out.size() - start);
  if (size <= target.max_bytes) return std::nullopt;
  out.resize(start);
  return Rejection{"request_too_large", "its line has " + std::to_string(size) + " bytes, more than a whole file may have (" +
                                            std::to_string(target.max_bytes) + ")"};
}

}  // namespace batchd
