#include "cli/submit_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace batchd {
namespace {

using ::testing::HasSubstr;

NewRequest read(std::string_view line, const SubmitDefaults& defaults = {}) {
  NewRequest request;
  const auto wrong = read_submit_line(line, defaults, request);
  EXPECT_EQ(wrong, std::nullopt) << *wrong << ": " << line;
  return request;
}

std::string fault(std::string_view line, const SubmitDefaults& defaults = {}) {
  NewRequest request;
  const auto wrong = read_submit_line(line, defaults, request);
  EXPECT_TRUE(wrong) << line;
  return wrong.value_or("");
}

TEST(SubmitLine, ABatchLineGivesKeyEndpointModelAndBody) {
  const auto r = read(R"({"custom_id":"q-1","method":"POST","url":"/v1/responses","body":{"model":"gpt-4o","input":"hi"}})");
  EXPECT_EQ(r.key, "q-1");
  EXPECT_EQ(r.endpoint, "/v1/responses");
  EXPECT_EQ(r.model, "gpt-4o");
  EXPECT_EQ(r.body, R"({"model":"gpt-4o","input":"hi"})");
}

TEST(SubmitLine, ABareBodyIsTakenWholeAndHasNoKey) {
  const auto r = read("  {\"model\":\"m\",\"messages\":[]}\t");
  EXPECT_EQ(r.key, std::nullopt);
  EXPECT_EQ(r.endpoint, "");
  EXPECT_EQ(r.body, "{\"model\":\"m\",\"messages\":[]}");
  EXPECT_EQ(read("{\"model\":\"m\"} \r").body, "{\"model\":\"m\"}") << "of a line break made twice";
}

TEST(SubmitLine, TheBodyComesThroughByteForByte) {
  const std::string body = R"({ "model" : "m", "x":9007199254740993, "y":0.10, "z":"\u0000é😀\/", "x":1e2 })";
  EXPECT_EQ(read(R"({"body": )" + body + R"( , "custom_id":"a"})").body, body);
  EXPECT_EQ(read(body).body, body);
}

TEST(SubmitLine, EndpointsAreSpeltTheProducersWay) {
  const auto endpoint = [](const std::string& url) {
    return read(R"({"custom_id":"a","url":")" + url + R"(","body":{"model":"m"}})").endpoint;
  };
  EXPECT_EQ(endpoint("/v1/chat/completions"), "/v1/chat/completions");
  EXPECT_EQ(endpoint("/chat/completions"), "/v1/chat/completions");
  EXPECT_EQ(endpoint("/openai/v1/embeddings"), "/v1/embeddings");
  EXPECT_EQ(read(R"({"custom_id":"a","body":{"model":"m"}})", {"", "/v1/responses"}).endpoint, "/v1/responses");
}

TEST(SubmitLine, TheDefaultModelIsOnlyForBodiesWithoutOne) {
  EXPECT_EQ(read(R"({"messages":[]})", {"fallback", ""}).model, "fallback");
  EXPECT_EQ(read(R"({"model":"own"})", {"fallback", ""}).model, "own");
  EXPECT_EQ(read(R"({"custom_id":"a","body":{}})", {"fallback", ""}).model, "fallback");
  EXPECT_THAT(fault(R"({"messages":[]})"), HasSubstr("--model"));
}

TEST(SubmitLine, EscapesInKeysAreRead) {
  EXPECT_EQ(read(R"({"custom_id":"a\u00e9\n","body":{"model":"m\/x"}})").key, "a\u00e9\n");
  EXPECT_EQ(read(R"({"custom_id":"a","body":{"model":"m\/x"}})").model, "m/x");
}

TEST(SubmitLine, SaysWhatIsWrongWithoutRepeatingTheLine) {
  const std::string long_key(513, 'k');
  for (const auto& [line, expected] : std::initializer_list<std::pair<std::string, const char*>>{
           {"", "empty"},
           {"nonsense", "not valid JSON"},
           {"{\"model\":\"m\"", "not valid JSON"},
           {"{\"model\":\"m\"} x", "not valid JSON"},
           {"[1]", "not a JSON object"},
           {"\"text\"", "not a JSON object"},
           {"{\"model\":\"m\xff\"}", "not valid UTF-8"},
           {"{\"model\":3}", "model must be a text"},
           {"{\"model\":\"\"}", "model must be a text"},
           {"{\"model\":\"a\\u0000\"}", "U+0000"},
           {"{\"custom_id\":\"a\"}", "needs a body"},
           {"{\"body\":{\"model\":\"m\"}}", "needs a custom_id"},
           {"{\"custom_id\":7,\"body\":{\"model\":\"m\"}}", "custom_id must be"},
           {"{\"custom_id\":\"" + long_key + "\",\"body\":{\"model\":\"m\"}}", "custom_id must be"},
           {"{\"custom_id\":\"a\\u0000\",\"body\":{\"model\":\"m\"}}", "U+0000"},
           {"{\"custom_id\":\"a\",\"body\":\"secret\"}", "body must be an object"},
           {"{\"custom_id\":\"a\",\"method\":\"GET\",\"body\":{\"model\":\"m\"}}", "method must be"},
           {"{\"custom_id\":\"a\",\"url\":\"chat\",\"body\":{\"model\":\"m\"}}", "url must be a path"},
       }) {
    const std::string what = fault(line);
    EXPECT_THAT(what, HasSubstr(expected)) << line;
    EXPECT_EQ(what.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace batchd
