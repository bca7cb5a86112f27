// What producers write: bodies of requests, and lines of files that are submitted.
#include "cli/submit_line.hpp"
#include "core/json_scan.hpp"
#include "core/request_line.hpp"
#include "malformed/corpus.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace batchd::testing {
namespace {

constexpr Bytes largest = 70'000'000;

/// The body as it stands on the line, after everything that the line itself must be has been looked at.
std::string sent_body(const MalformedCase& tested, std::string_view body, const std::string& line) {
  SCOPED_TRACE(tested.name);
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line";
  EXPECT_EQ(line.find('\r'), std::string::npos);
  EXPECT_TRUE(valid_json(line));
  EXPECT_TRUE(valid_utf8(line));
  EXPECT_LE(line.size(), static_cast<std::size_t>(largest));
  EXPECT_EQ(find_member(line, "custom_id"), "\"5-1\"");
  const std::string sent(find_member(line, "body").value_or(""));
  EXPECT_EQ(find_member(sent, "model"), "\"dep\"");
  // Whatever is not a model, a blank or a line break is there as before.
  JsonObjectReader before(body), after(sent);
  JsonMember one, other;
  bool model_added = !find_member(body, "model");
  while (after.next(other)) {
    if (std::exchange(model_added, false)) continue;
    EXPECT_TRUE(before.next(one));
    EXPECT_EQ(one.key, other.key);
    std::string value(one.value);
    std::replace_if(
        value.begin(), value.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    EXPECT_TRUE(json_key_is(one.key, "model") || value == other.value) << one.key;
  }
  EXPECT_FALSE(before.next(one));
  return sent;
}

std::string body_verdict(const MalformedCase& tested) {
  const std::string body = tested.input();
  std::string line;
  const LineTarget target{"/chat/completions", "dep", largest};
  if (const auto rejection = append_request_line(line, {RequestId{5}, 1}, target, body)) {
    EXPECT_EQ(line, "") << tested.name;
    return rejection->code;
  }
  std::string sent = sent_body(tested, body, line);
  if (tested.verdict == "sent") return "sent";
  sent.erase(0, sent.find('{'));
  sent.resize(sent.rfind('}') + 1);
  return "sent,as=" + sent;
}

std::string complaint_word(const std::string& complaint) {
  const std::pair<const char*, const char*> sentences[] = {{"not valid UTF-8", "utf8"},
                                                           {"not valid JSON", "json"},
                                                           {"not a JSON object", "not_object"},
                                                           {"a batch line needs a custom_id", "no_custom_id"},
                                                           {"a batch line needs a body", "no_body"},
                                                           {"custom_id ", "custom_id"},
                                                           {"body ", "body"},
                                                           {"method ", "method"},
                                                           {"url ", "url"},
                                                           {"model ", "model"}};
  for (const auto& [sentence, word] : sentences) {
    if (complaint.starts_with(sentence)) return word;
  }
  return complaint;
}

std::string line_verdict(const MalformedCase& tested) {
  NewRequest request;
  const std::string line = tested.input();
  if (const auto wrong = read_submit_line(line, {"m", ""}, request)) return complaint_word(*wrong);
  std::string out = "request";
  if (request.key) out += ",key=" + *request.key;
  if (request.model != "m") out += ",model=" + request.model;
  if (!request.endpoint.empty() && request.endpoint != "/v1/chat/completions") out += ",endpoint=" + request.endpoint;
  // What the table of requests would refuse must not get that far.
  EXPECT_LE(request.key.value_or("").size(), 512U) << tested.name;
  EXPECT_LE(request.endpoint.size(), 200U) << tested.name;
  EXPECT_TRUE(valid_utf8(request.key.value_or("") + request.model + request.endpoint)) << tested.name;
  EXPECT_TRUE(valid_json(request.body)) << tested.name;
  return out;
}

TEST(Malformed, RequestBodies) {
  expect_verdicts("request_bodies", body_verdict);
}

TEST(Malformed, SubmitLines) {
  expect_verdicts("submit_lines", line_verdict);
}

}  // namespace
}  // namespace batchd::testing
