#include "core/output_line.hpp"

#include "core/json_scan.hpp"
#include "core/round.hpp"

#include <gtest/gtest.h>

namespace batchd {
namespace {

LineReading reading_of(std::string_view line) {
  LineResult result = read_output_line(line);
  if (!result.reading) throw std::runtime_error("not read: " + std::string(line));
  return *result.reading;
}

std::string error_code(const LineReading& reading) {
  return decode_json_string(find_member(reading.settlement.error, "code").value_or("none"));
}

TEST(OutputLine, ASuccessKeepsTheBodyByteForByteAndReadsItsUsage) {
  const LineReading r = reading_of(
      R"({"id":"batch_req_1","custom_id":"5-1","response":{"status_code":200,"request_id":"req_9","body":{"a" : 1.50,"usage":{"prompt_tokens":12,"completion_tokens":3}}},"error":null})");
  EXPECT_EQ(r.verdict, Verdict::success);
  EXPECT_EQ(r.id, (CustomId{RequestId{5}, 1}));
  EXPECT_EQ(r.settlement.outcome, Outcome::succeeded);
  EXPECT_EQ(r.settlement.response, R"({"a" : 1.50,"usage":{"prompt_tokens":12,"completion_tokens":3}})");
  EXPECT_EQ(r.settlement.status_code, 200);
  EXPECT_EQ(r.settlement.provider_request_id, "req_9");
  ASSERT_TRUE(r.settlement.usage);
  EXPECT_EQ(r.settlement.usage->input, 12);
  EXPECT_EQ(r.settlement.usage->output, 3);
  EXPECT_EQ(r.settlement.error, "");
}

TEST(OutputLine, ReadsWhatOfTheInputWasCached) {
  const auto cached = [](const std::string& usage) {
    return reading_of(R"({"custom_id":"5-1","response":{"status_code":200,"body":{"usage":)" + usage + "}}}")
        .settlement.usage->cached;
  };
  EXPECT_EQ(cached(R"({"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":0}})"), 8);
  EXPECT_EQ(cached(R"({"input_tokens_details":{"cached_tokens":3},"input_tokens":12})"), 3);
  EXPECT_EQ(cached(R"({"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":80}})"), 12) << "no more than there was";
  EXPECT_EQ(cached(R"({"prompt_tokens":12,"prompt_tokens_details":null})"), 0);
  EXPECT_EQ(cached(R"({"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":"many"}})"), 0);
}

TEST(OutputLine, ReadsTheUsageOfResponsesToo) {
  const LineReading r =
      reading_of(R"({"custom_id":"5-1","response":{"status_code":200,"body":{"usage":{"input_tokens":7,"output_tokens":2}}}})");
  EXPECT_EQ(r.settlement.usage->input, 7);
  EXPECT_EQ(r.settlement.usage->output, 2);
  EXPECT_EQ(r.settlement.usage->cached, 0);
}

struct StatusCase {
  int status;
  Verdict verdict;
};

class OutputLineStatus : public testing::TestWithParam<StatusCase> {};

TEST_P(OutputLineStatus, DecidesWhetherTheRequestIsToBlame) {
  const auto line = R"({"custom_id":"5-1","response":{"status_code":)" + std::to_string(GetParam().status) +
                    R"(,"body":{"error":{"message":"no","code":"because","param":"x"}}},"error":null})";
  const LineReading r = reading_of(line);
  EXPECT_EQ(r.verdict, GetParam().verdict);
  EXPECT_EQ(r.settlement.outcome, Outcome::failed);
  EXPECT_EQ(error_code(r), "because");
  EXPECT_EQ(find_member(r.settlement.error, "param"), "\"x\"");
  EXPECT_EQ(r.settlement.status_code, GetParam().status);
}

INSTANTIATE_TEST_SUITE_P(Protocol13, OutputLineStatus,
                         testing::Values(StatusCase{400, Verdict::permanent}, StatusCase{401, Verdict::permanent},
                                         StatusCase{403, Verdict::permanent}, StatusCase{404, Verdict::permanent},
                                         StatusCase{422, Verdict::permanent}, StatusCase{408, Verdict::retry},
                                         StatusCase{409, Verdict::retry}, StatusCase{429, Verdict::retry},
                                         StatusCase{500, Verdict::retry}, StatusCase{503, Verdict::retry},
                                         StatusCase{0, Verdict::retry}, StatusCase{302, Verdict::retry}),
                         [](const auto& tested) { return "Status" + std::to_string(tested.param.status); });

TEST(OutputLine, AnAccountThatCannotPayIsNoFaultOfTheRequest) {
  for (const char* error : {R"({"code":"insufficient_quota","message":"m"})", R"({"code":null,"type":"insufficient_quota"})",
                            R"({"code":"billing_hard_limit_reached"})", R"({"code":"account_deactivated"})"}) {
    for (const int status : {400, 402, 403, 429}) {
      const LineReading r = reading_of(R"({"custom_id":"5-1","response":{"status_code":)" + std::to_string(status) +
                                       R"(,"body":{"error":)" + error + R"(}},"error":null})");
      EXPECT_TRUE(r.account) << error;
      EXPECT_EQ(r.verdict, Verdict::free_retry) << error;
    }
    EXPECT_TRUE(reading_of(std::string(R"({"custom_id":"5-1","response":null,"error":)") + error + "}").account) << error;
  }
  const LineReading other =
      reading_of(R"({"custom_id":"5-1","response":{"status_code":429,"body":{"error":{"code":"rate_limit_exceeded"}}}})");
  EXPECT_FALSE(other.account);
  EXPECT_EQ(other.verdict, Verdict::retry);
}

TEST(OutputLine, SuccessWithoutAnAnswerIsNotSuccess) {
  for (const char* body : {"{}", "null", "\"\"", "[]", "{ }"}) {
    const LineReading r = reading_of(R"({"custom_id":"5-1","response":{"status_code":200,"body":)" + std::string(body) + "}}");
    EXPECT_EQ(r.verdict, Verdict::retry) << body;
    EXPECT_EQ(error_code(r), "empty_response") << body;
  }
}

TEST(OutputLine, ErrorsWithoutAResponseAreReadByTheirCode) {
  const auto of = [](const std::string& code) {
    return reading_of(R"({"custom_id":"5-1","response":null,"error":{"code":")" + code + R"(","message":"m"}})");
  };
  EXPECT_EQ(of("batch_expired").verdict, Verdict::retry);
  EXPECT_EQ(of("batch_expired").settlement.outcome, Outcome::expired);
  EXPECT_EQ(of("request_timeout").verdict, Verdict::retry);
  EXPECT_EQ(of("something_new").verdict, Verdict::retry);
  EXPECT_EQ(of("batch_cancelled").verdict, Verdict::free_retry);
}

TEST(OutputLine, NeitherResponseNorErrorIsAnUnknownFailure) {
  for (const char* line : {R"({"custom_id":"5-1","response":null,"error":null})", R"({"custom_id":"5-1"})"}) {
    const LineReading r = reading_of(line);
    EXPECT_EQ(r.verdict, Verdict::retry);
    EXPECT_EQ(error_code(r), "no_answer");
  }
}

TEST(OutputLine, AnErrorInsideTheResponseCountsThoughTheOuterOneIsNull) {
  const LineReading r = reading_of(
      R"({"custom_id":"5-1","response":{"status_code":400,"body":{"error":{"code":404,"message":"gone"}}},"error":null})");
  EXPECT_EQ(r.verdict, Verdict::permanent);
  EXPECT_EQ(error_code(r), "404");
}

TEST(OutputLine, TakesAStatusWrittenAsText) {
  EXPECT_EQ(reading_of(R"({"custom_id":"5-1","response":{"status_code":"429","body":{}}})").settlement.status_code, 429);
}

TEST(OutputLine, CorruptLinesAreNotApplied) {
  using std::string_literals::operator""s;
  for (const std::string& line : {"not json"s, "[]"s, "{\"custom_id\":5}"s, "{\"custom_id\":\"5-1\""s, "{}"s,
                                  "{\"custom_id\":\"5-1\",\"x\":\"\xFF\"}"s, "{\"custom_id\":\"5-1\",\"x\":\"\0\"}"s}) {
    const LineResult result = read_output_line(line);
    EXPECT_FALSE(result.reading) << line;
    EXPECT_EQ(result.fault, LineFault::corrupt) << line;
  }
}

TEST(OutputLine, IdsThatAreNotOursAreForeign) {
  const LineResult result = read_output_line(R"({"custom_id":"request-17","response":{"status_code":200,"body":{"a":1}}})");
  EXPECT_FALSE(result.reading);
  EXPECT_EQ(result.fault, LineFault::foreign);
}

TEST(OutputLine, EveryErrorIsAnObjectWithCodeAndMessage) {
  for (const char* error :
       {"\"text\"", "7", "[]", "{\"message\":null,\"code\":null}", "{\"message\":\"m\"}", "{\"innererror\":{\"code\":\"x\"}}"}) {
    const LineReading r = reading_of(R"({"custom_id":"5-1","response":null,"error":)" + std::string(error) + "}");
    EXPECT_TRUE(valid_json(r.settlement.error)) << r.settlement.error;
    EXPECT_TRUE(find_member(r.settlement.error, "code")) << error;
    EXPECT_TRUE(find_member(r.settlement.error, "message")) << error;
  }
}

// What becomes of a request -------------------------------------------------------------------------------------------

const RoundPolicy round_policy{3, {Milliseconds{1000}, Milliseconds{60'000}}};

LineReading failing(Verdict verdict, Outcome last = Outcome::failed) {
  LineReading r;
  r.id = {RequestId{5}, 1};
  r.verdict = verdict;
  r.settlement.request = RequestId{5};
  r.settlement.outcome = last;
  r.settlement.error = make_error("c", "m");
  return r;
}

TEST(Round, ARetryUsesAnAttemptAndWaits) {
  const auto decision = decide(failing(Verdict::retry), 0, round_policy);
  const Return& back = std::get<Return>(decision);
  EXPECT_EQ(back.attempts, 1);
  EXPECT_GE(back.delay, Milliseconds{500});
  EXPECT_LE(back.delay, Milliseconds{1000});
  EXPECT_EQ(back.error, make_error("c", "m"));
}

TEST(Round, TheLastAttemptSettles) {
  const auto decision = decide(failing(Verdict::retry), 2, round_policy);
  EXPECT_EQ(std::get<Settlement>(decision).outcome, Outcome::failed);
}

TEST(Round, ALastAttemptThatExpiredSettlesAsExpired) {
  const auto decision = decide(failing(Verdict::retry, Outcome::expired), 2, round_policy);
  EXPECT_EQ(std::get<Settlement>(decision).outcome, Outcome::expired);
}

TEST(Round, WhatWasCancelledGoesRoundForFreeAndAtOnce) {
  const auto decision = decide(failing(Verdict::free_retry), 2, round_policy);
  EXPECT_EQ(std::get<Return>(decision).attempts, 2);
  EXPECT_EQ(std::get<Return>(decision).delay, Milliseconds{0});
}

TEST(Round, APermanentFailureSettlesAtOnce) {
  EXPECT_TRUE(std::holds_alternative<Settlement>(decide(failing(Verdict::permanent), 0, round_policy)));
}

TEST(Round, AnUnmentionedRequestPaysOnlyWhenTheBatchRan) {
  Shard shard;
  const auto verdict_for = [&](FinishReason reason) {
    shard.finish_reason = reason;
    return absent(RequestId{5}, 0, shard);
  };
  EXPECT_EQ(verdict_for(FinishReason::ran).verdict, Verdict::retry);
  EXPECT_EQ(verdict_for(FinishReason::expired).settlement.outcome, Outcome::expired);
  EXPECT_EQ(verdict_for(FinishReason::cancelled).verdict, Verdict::free_retry);
  EXPECT_EQ(verdict_for(FinishReason::given_up).verdict, Verdict::free_retry);
  shard.error = make_error("invalid_request", "no");
  EXPECT_EQ(verdict_for(FinishReason::refused).settlement.error, shard.error);
}

}  // namespace
}  // namespace batchd
