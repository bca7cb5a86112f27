// A settled request as `results` and `run` write it: one line, JSON, with the stored answer byte for byte but for line breaks
// between tokens; read as a provider's output line it means what was stored. Input: a key as FuzzedDataProvider ends a
// text, numbers; the answer.
#include "cli/result_line.hpp"

#include "core/json_scan.hpp"
#include "core/output_line.hpp"
#include "harness.hpp"
#include "reference_text.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

namespace batchd::fuzz {
namespace {

/// As PostgreSQL gives it: a database in UTF-8 holds nothing else.
std::string stored_text(std::string text) {
  return storable(text) ? text : std::string("a key");
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  ResultRow row;
  row.request = RequestId{data.ConsumeIntegralInRange<std::int64_t>(1, INT64_MAX)};
  const bool keyed = data.ConsumeBool();
  const std::string key = stored_text(data.ConsumeRandomLengthString(64));
  row.key = keyed ? key : "17-1";
  if (data.ConsumeBool()) row.status_code = data.ConsumeIntegralInRange<int>(200, 599);
  if (data.ConsumeBool()) row.provider_request_id = key;
  const std::string json = data.ConsumeRemainingBytesAsString();
  if (!valid_json(json) || !reference_utf8(json)) return;
  (data.ConsumeBool() ? row.error : row.response) = json;
  row.response = json;
  std::string out = "before\n";
  append_result_line(out, row);
  holds(out.starts_with("before\n") && out.ends_with('\n'), "a line is appended");
  const std::string_view line = std::string_view(out).substr(7, out.size() - 8);
  holds(line.find_first_of("\r\n") == std::string_view::npos, "one line");
  if (std::count_if(line.begin(), line.end(), [](char c) { return c == '[' || c == '{'; }) > 500) return;
  holds(valid_json(line) && reference_utf8(line), "of JSON in UTF-8");
  holds(decode_json_string(find_member(line, "custom_id").value_or("")) == row.custom_id(), "under the key");
  std::string flat = json;
  std::replace_if(
      flat.begin(), flat.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  const auto response = find_member(line, "response");
  holds(response && line.find(flat) != std::string_view::npos, "with the answer as it was stored");
  const LineResult read = read_output_line(line);
  holds(keyed || read.reading.has_value(), "a line under an id of ours is read as one");
  if (!read.reading || !read.reading->settlement.status_code || read.reading->settlement.response.empty()) return;
  holds(flat.find(read.reading->settlement.response) != std::string::npos, "and as the same answer");
  holds(read.reading->settlement.status_code == row.status_code.value_or(0), "with its status");
}

}  // namespace batchd::fuzz
