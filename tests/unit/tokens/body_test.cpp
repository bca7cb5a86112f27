// With a vocabulary of single bytes a text is as many tokens as it has bytes, so that every sum can be read off.
#include "tokens/body.hpp"

#include "support/vocabularies.hpp"

#include <gtest/gtest.h>

#include <string>

namespace batchd {
namespace {

Tokens count(const std::string& body, const BodyKind& kind = {}) {
  static const Vocabulary bytes = test::small_vocabulary(Encoding::o200k_base);
  return BodyCounter(bytes, kind).count(body);
}

constexpr Tokens user = 4, reply = 3, message = 3;

TEST(BodyCounter, CountsMessagesAsTheCookbookDoes) {
  EXPECT_EQ(count(R"({"model":"m","messages":[{"role":"user","content":"hello"}]})"), reply + message + user + 5);
  EXPECT_EQ(count(R"({"messages":[{"role":"user","content":"a\n\u00e9","name":"bob"}]})"), reply + message + user + 4 + 3 + 1);
  EXPECT_EQ(count(R"({"messages":[]})"), reply);
  EXPECT_EQ(count(R"( { "messages" : [ {"role":"user","content":null} , {"role":"user"} ] } )"), reply + 2 * (message + user));
  EXPECT_EQ(count(R"({"messages":[{"role":"user","content":[{"type":"text","text":"ab"},{"type":"text","text":"c"}]}]})"),
            reply + message + user + 3);
}

TEST(BodyCounter, SettingsCostNothingAndWhatIsNotKnownCountsAsItsText) {
  const std::string start = R"({"messages":[],"temperature":0.5,"max_tokens":100,"stream":false,"seed":null)";
  EXPECT_EQ(count(start + R"(,"user":"someone","metadata":{"a":"b"},"stop":["x"],"tool_choice":"auto"})"), reply);
  EXPECT_EQ(count(start + R"(,"something":"new","more":[1]})"), reply + 3 + 3);
  EXPECT_EQ(count(start + R"(,"tools":[{"a":1}]})"), reply + 9);
  EXPECT_EQ(count(start + R"(,"response_format":{"type":"json_object"}})"), reply);
  const std::string schema = R"({"type":"json_schema","json_schema":{}})";
  EXPECT_EQ(count(start + R"(,"response_format":)" + schema + "}"), reply + static_cast<Tokens>(schema.size()));
}

TEST(BodyCounter, CallsAndTheirOutcomesCount) {
  EXPECT_EQ(
      count(
          R"({"messages":[{"role":"user","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]}]})"),
      reply + message + user + 3 + 1 + 2);
  EXPECT_EQ(count(R"({"messages":[{"role":"tool","tool_call_id":"id","content":"42"}]})"), reply + message + 4 + 2 + 2);
}

TEST(BodyCounter, ImagesCountByTheirSizeAndNeverAsText) {
  const std::string data =
      "data:image/gif;base64," + test::base64_of(std::string("GIF89a\x40\x01\xF0\0", 10)) + std::string(100'000, 'A');
  const auto chat = [&](const std::string& url, const std::string& detail) {
    return count(
        R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":")" + url + "\"" + detail + "}}]}]}",
        {"gpt-4o", ""});
  };
  EXPECT_EQ(chat(data, ""), reply + message + user + 255);
  EXPECT_EQ(chat(data, R"(,"detail":"low")"), reply + message + user + 85);
  EXPECT_EQ(chat("https:\\/\\/example.com\\/x", ""), reply + message + user + 765);
  EXPECT_EQ(
      count(R"({"input":[{"role":"user","content":[{"type":"input_image","image_url":")" + data + R"("}]}]})", {"gpt-4o", ""}),
      reply + message + user + 255);
}

TEST(BodyCounter, OtherEndpointsHaveTheirOwnShapes) {
  const BodyKind embeddings{"text-embedding-3-small", "/v1/embeddings"};
  EXPECT_EQ(count(R"({"input":"abc"})", embeddings), 3);
  EXPECT_EQ(count(R"({"input":["abc","de"],"encoding_format":"base64"})", embeddings), 5);
  EXPECT_EQ(count(R"({"input":[1,22,333]})", embeddings), 3);
  EXPECT_EQ(count(R"({"input":[[1,22],[333]]})", embeddings), 3);
  EXPECT_EQ(count(R"({"model":"text-embedding-3-small","input":"abc"})"), 3);
  EXPECT_EQ(count(R"({"input":"abc"})", {"m", "/v1/embeddings"}), 3);
  EXPECT_EQ(count(R"({"input":"abc"})", {"gpt-4o", "/v1/responses"}), reply + message + 1 + 3);
  EXPECT_EQ(count(R"({"input":[{"role":"user","content":[{"type":"input_text","text":"abc"}]}],"instructions":"be"})"),
            reply + message + user + 3 + message + 1 + 2);
  EXPECT_EQ(count(R"({"input":[{"type":"function_call_output","call_id":"c","output":"42"}],"text":{"format":{"type":"text"}}})"),
            reply + message + 1 + 2);
  EXPECT_EQ(count(R"({"prompt":"abc"})"), 3);
  EXPECT_EQ(count(R"({"prompt":["abc",[1,2],"d"],"suffix":"xy"})"), 3 + 2 + 1 + 2);
}

TEST(BodyCounter, OddBodiesCountAsTheirText) {
  for (const std::string body :
       {"", "x", "[]", "{", R"({"messages":)", R"({"messages":[{"role":)", R"({"a":"b"})", "\xFF\xFE", "null"}) {
    EXPECT_EQ(count(body), static_cast<Tokens>(body.size())) << body;
  }
  EXPECT_EQ(count(R"({"messages":"hello"})"), reply + 5);
  EXPECT_EQ(count(R"({"messages":{"a":1}})"), reply + 7);
  EXPECT_EQ(count(R"({"messages":["hello",7]})"), reply + 5 + 1);
  EXPECT_EQ(count(R"({"messages":[{"role":7,"content":5,"name":[]}]})"), reply + message);
  EXPECT_EQ(count(R"({"messages":[{"content":[{"type":"image_url","image_url":3}]}]})", {"gpt-4o", ""}), reply + message + 765);
}

}  // namespace
}  // namespace batchd
