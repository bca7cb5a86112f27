// append_request_line on any body, for any model: a line is refused exactly when the body is no JSON object in UTF-8, asks for a
// stream or makes too long a line, and then nothing was written; a line that is made is one line, is JSON, carries the id, and
// its body is the producer's in everything but `model`; what it adds is within line_overhead. Input: the model as
// FuzzedDataProvider ends a text (a backslash and any other character), the line's limit, the body.
#include "core/request_line.hpp"

#include "core/json_scan.hpp"
#include "harness.hpp"
#include "reference_json.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

namespace batchd::fuzz {
namespace {

namespace json = boost::json;

std::optional<std::string> expected_rejection(std::string_view text, const Reference& body) {
  if (!reference_utf8(text) || !body.value || !body.value->is_object()) return "invalid_body";
  const json::value* stream = body.value->get_object().if_contains("stream");
  if (stream && stream->is_bool() && stream->get_bool()) return "streaming_not_supported";
  return std::nullopt;
}

std::size_t count_models(std::string_view body) {
  JsonObjectReader reader(body);
  std::size_t count = 0;
  for (JsonMember member; reader.next(member);) count += json_key_is(member.key, "model") ? 1 : 0;
  return count;
}

void check_line(std::string_view line, const LineTarget& target, std::string_view body, const Reference& reference) {
  holds(line.ends_with('\n') && line.find_first_of("\r\n") == line.size() - 1, "one line, and its end");
  const Reference read = read_reference(line);
  holds(read.value && read.value->is_object(), "it is JSON");
  const json::object& parts = read.value->get_object();
  holds(parts.size() == 4 && parts.at("custom_id") == "12345-7" && parts.at("method") == "POST", "with the id and POST");
  holds(parts.at("url") == *read_reference(json_quote(target.url)).value, "and the url");
  json::object expected = reference.value->get_object();
  expected["model"] = *read_reference(json_quote(target.model)).value;
  holds(parts.at("body") == expected, "the body is the producer's, but for its model");
  const std::size_t models = count_models(body);
  if (models < 2) holds(static_cast<Bytes>(line.size() - body.size()) <= line_overhead(target), "no longer than was planned");
  if (models != 0) return;
  std::string rest(body.substr(body.find('{') + 1));
  std::replace_if(
      rest.begin(), rest.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  holds(line.ends_with(rest + "}\n"), "byte for byte, but for line breaks");
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  LineTarget target{"/v1/chat/completions", data.ConsumeRandomLengthString(64), 0};
  target.max_bytes = data.ConsumeBool() ? 1'000'000'000 : data.ConsumeIntegralInRange<Bytes>(0, 4096);
  const std::string body = data.ConsumeRemainingBytesAsString();
  const std::string before = "what stands there already\n";
  std::string out = before;
  const auto rejection = append_request_line(out, CustomId{RequestId{12345}, 7}, target, body);
  if (rejection) holds(out == before && !rejection->message.empty(), "a refusal writes nothing, and says why");
  const Reference reference = read_reference(body);
  if (!reference.comparable) return;
  const auto expected = expected_rejection(body, reference);
  if (expected) return holds(rejection && rejection->code == *expected, "refused for what the body is");
  if (rejection) return holds(rejection->code == "request_too_large", "else only its length is refused");
  holds(out.starts_with(before) && static_cast<Bytes>(out.size() - before.size()) <= target.max_bytes, "within its limit");
  check_line(std::string_view(out).substr(before.size()), target, body, reference);
}

}  // namespace batchd::fuzz
