#include "cli/result_line.hpp"

#include <gtest/gtest.h>

namespace batchd {
namespace {

std::string line(const ResultRow& row) {
  std::string out;
  append_result_line(out, row);
  return out;
}

TEST(ResultLine, ASuccessHasItsAnswerByteForByte) {
  ResultRow row;
  row.request = RequestId{12};
  row.key = "q \"1\"";
  row.outcome = Outcome::succeeded;
  row.status_code = 200;
  row.response = R"({"x":9007199254740993,"y":0.10,"z":"\u0000"})";
  row.provider_request_id = "req-1";
  EXPECT_EQ(line(row), R"({"id":"batch_req_12","custom_id":"q \"1\"","response":{"status_code":200,"request_id":"req-1","body":)"
                       R"({"x":9007199254740993,"y":0.10,"z":"\u0000"}},"error":null})"
                       "\n");
}

TEST(ResultLine, WithoutAKeyTheIdIsTheName) {
  ResultRow row;
  row.request = RequestId{7};
  row.outcome = Outcome::cancelled;
  row.error = R"({"code":"cancelled","message":"x"})";
  EXPECT_EQ(line(row), R"({"id":"batch_req_7","custom_id":"7","response":null,"error":{"code":"cancelled","message":"x"}})"
                       "\n");
}

TEST(ResultLine, AFailureMayHaveBothAResponseAndAnError) {
  ResultRow row;
  row.request = RequestId{7};
  row.outcome = Outcome::failed;
  row.status_code = 400;
  row.response = "{\n\"error\":{}\r\n}";
  row.error = "{\"code\":\"x\"}";
  EXPECT_EQ(line(row),
            R"({"id":"batch_req_7","custom_id":"7","response":{"status_code":400,"request_id":null,"body":{ "error":{}  }},)"
            R"("error":{"code":"x"}})"
            "\n");
}

}  // namespace
}  // namespace batchd
