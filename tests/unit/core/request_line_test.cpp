#include "core/request_line.hpp"

#include "core/json_scan.hpp"

#include <gtest/gtest.h>

namespace batchd {
namespace {

const LineTarget line_target{"/chat/completions", "my-deployment", 200'000'000};
const CustomId id{RequestId{42}, 1};

std::string line_of(std::string_view body) {
  std::string out;
  const auto rejection = append_request_line(out, id, line_target, body);
  return rejection ? "rejected: " + rejection->code : out;
}

std::string sent_body(std::string_view body) {
  const std::string line = line_of(body);
  return std::string(find_member(line, "body").value_or("no body in " + line));
}

TEST(RequestLine, OfAnEmbeddingCountsItsTexts) {
  EXPECT_EQ(embedding_inputs(R"({"input": "one"})"), 1);
  EXPECT_EQ(embedding_inputs(R"({"model": "m", "input": ["one", "two, [\"", "three" ]})"), 3);
  EXPECT_EQ(embedding_inputs(R"({"input": [1, 2, 3]})"), 1) << "token numbers of one text";
  EXPECT_EQ(embedding_inputs(R"({"input":[[1,2],[3],[]]})"), 3);
  EXPECT_EQ(embedding_inputs(R"({"input": []})"), 1);
  EXPECT_EQ(embedding_inputs("{}"), 1);
}

TEST(RequestLine, HasTheFourMembersAndOneNewline) {
  EXPECT_EQ(line_of(R"({"model":"gpt-4o-mini","messages":[]})"),
            "{\"custom_id\":\"42-1\",\"method\":\"POST\",\"url\":\"/chat/"
            "completions\",\"body\":{\"model\":\"my-deployment\",\"messages\":[]}}\n");
}

TEST(RequestLine, ReplacesTheTopLevelModelOnlyAndKeepsEveryOtherByte) {
  EXPECT_EQ(sent_body(R"({ "a":{"model":"inner"}, "model" : "x" ,"n":0.1, "big":9007199254740993,"s":"\u0000 é 日本 \/"})"),
            R"({ "a":{"model":"inner"}, "model" : "my-deployment" ,"n":0.1, "big":9007199254740993,"s":"\u0000 é 日本 \/"})");
}

TEST(RequestLine, AddsAModelWhereThereIsNone) {
  EXPECT_EQ(sent_body(R"({"messages":[]})"), R"({"model":"my-deployment","messages":[]})");
  EXPECT_EQ(sent_body(" {} "), R"({"model":"my-deployment"})");
}

TEST(RequestLine, ReplacesEveryDuplicateAndEscapedModel) {
  EXPECT_EQ(sent_body(R"({"model":"a","x":1,"model":2,"mod\u0065l":null})"),
            R"({"model":"my-deployment","x":1,"model":"my-deployment","mod\u0065l":"my-deployment"})");
}

TEST(RequestLine, TurnsLineBreaksBetweenTokensIntoBlanks) {
  EXPECT_EQ(sent_body("{\n  \"model\": \"x\",\r\n  \"messages\": [\n  ]\n}\n"),
            "{   \"model\": \"my-deployment\",    \"messages\": [   ] }");
}

TEST(RequestLine, IsOneLineAndValidJsonWhateverTheBody) {
  for (const char* body : {"{\n}", "{\"a\":\n1}", "{\"a\":\"x\\ny\"}", "\n\n{\"model\"\n:\n\"m\"\n}\n"}) {
    const std::string line = line_of(body);
    EXPECT_EQ(line.find('\n'), line.size() - 1) << body;
    EXPECT_TRUE(valid_json(line)) << line;
  }
}

TEST(RequestLine, RefusesWhatIsNotAnObject) {
  for (const char* body : {"[]", "\"x\"", "1", "null", "", "{", "{\"a\":1}}"})
    EXPECT_EQ(line_of(body), "rejected: invalid_body") << body;
}

TEST(RequestLine, RefusesStreamingButNotItsAbsence) {
  EXPECT_EQ(line_of(R"({"stream":true})"), "rejected: streaming_not_supported");
  EXPECT_EQ(line_of(R"({"str\u0065am": true})"), "rejected: streaming_not_supported");
  EXPECT_EQ(sent_body(R"({"stream":false})"), R"({"model":"my-deployment","stream":false})");
  EXPECT_EQ(sent_body(R"({"options":{"stream":true}})"), R"({"model":"my-deployment","options":{"stream":true}})");
}

TEST(RequestLine, RefusesALineLargerThanAFileAndLeavesTheOutputAlone) {
  LineTarget small = line_target;
  std::string out = "before\n";
  ASSERT_FALSE(append_request_line(out, id, small, "{}"));
  small.max_bytes = static_cast<Bytes>(out.size() - 7);
  std::string again = "before\n";
  EXPECT_FALSE(append_request_line(again, id, small, "{}"));
  small.max_bytes -= 1;
  again = "before\n";
  const auto rejection = append_request_line(again, id, small, "{}");
  ASSERT_TRUE(rejection);
  EXPECT_EQ(rejection->code, "request_too_large");
  EXPECT_EQ(again, "before\n");
}

TEST(RequestLine, NeverAddsMoreThanThePlannedOverhead) {
  const CustomId longest{RequestId{INT64_MAX}, 999'999};
  for (const char* body : {"{}", "{\"model\":\"\"}", "{\"x\":1}"}) {
    std::string out;
    ASSERT_FALSE(append_request_line(out, longest, line_target, body));
    EXPECT_LE(static_cast<Bytes>(out.size()), static_cast<Bytes>(std::string_view(body).size()) + line_overhead(line_target))
        << out;
  }
}

TEST(RemoteNames, CustomIdsRoundTripAndNothingElseIsOurs) {
  EXPECT_EQ(to_string(CustomId{RequestId{7}, 3}), "7-3");
  EXPECT_EQ(parse_custom_id("7-3"), (CustomId{RequestId{7}, 3}));
  for (const char* text : {"", "7", "7-", "-3", "07-3", "7-03", "7-3 ", "+7-3", "a-1", "7-3-1", "99999999999999999999-1"}) {
    EXPECT_EQ(parse_custom_id(text), std::nullopt) << text;
  }
}

TEST(RemoteNames, FileAndMetadataNameInstanceShardAndAttempt) {
  EXPECT_EQ(input_file_name("ab12", ShardId{9}, 2), "batchd-ab12-9-2.jsonl");
  const std::map<std::string, std::string> expected{{"batchd_instance", "ab12"}, {"batchd_shard", "9"}, {"batchd_attempt", "2"}};
  EXPECT_EQ(batch_metadata("ab12", ShardId{9}, 2), expected);
}

}  // namespace
}  // namespace batchd
