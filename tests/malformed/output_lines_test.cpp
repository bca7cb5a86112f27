// Lines of result files: what each is worth, and that whatever is made of it can be stored and read by PostgreSQL.
#include "core/json_scan.hpp"
#include "core/output_line.hpp"
#include "malformed/corpus.hpp"

#include <gtest/gtest.h>

namespace batchd::testing {
namespace {

std::string_view word(Verdict verdict) {
  switch (verdict) {
    case Verdict::success:
      return "success";
    case Verdict::retry:
      return "retry";
    case Verdict::free_retry:
      return "free_retry";
    case Verdict::permanent:
      break;
  }
  return "permanent";
}

void expect_storable(const MalformedCase& tested, const Settlement& settled) {
  SCOPED_TRACE(tested.name);
  for (const std::string& json : {settled.response, settled.error}) {
    EXPECT_TRUE(json.empty() || valid_json(json)) << json.substr(0, 1000);
    EXPECT_TRUE(valid_utf8(json));
  }
  EXPECT_EQ(storable_json(settled.error), settled.error) << "PostgreSQL's ->> would fail on it";
  EXPECT_TRUE(valid_utf8(settled.provider_request_id));
  EXPECT_EQ(settled.provider_request_id.find('\0'), std::string::npos);
  EXPECT_LE(settled.provider_request_id.size(), 200U);
  const bool failed = settled.outcome != Outcome::succeeded;
  for (const char* name : {"code", "message"}) EXPECT_EQ(find_member(settled.error, name).has_value(), failed) << name;
}

std::string verdict_of(const MalformedCase& tested) {
  const std::string line = tested.input();
  const LineResult result = read_output_line(line);
  if (!result.reading) return result.fault == LineFault::corrupt ? "corrupt" : "foreign";
  const Settlement& settled = result.reading->settlement;
  expect_storable(tested, settled);
  std::string verdict(word(result.reading->verdict));
  if (result.reading->verdict != Verdict::success) {
    return verdict + ':' + decode_json_string(find_member(settled.error, "code").value_or(""));
  }
  EXPECT_NE(line.find(settled.response), std::string::npos) << tested.name << ": kept byte for byte";
  if (settled.usage) verdict += ':' + std::to_string(settled.usage->input) + '+' + std::to_string(settled.usage->output);
  return verdict;
}

TEST(Malformed, OutputLines) {
  expect_verdicts("output_lines", verdict_of);
}

}  // namespace
}  // namespace batchd::testing
