#include "core/refusal.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

namespace batchd {
namespace {

BatchError said(std::string code, std::string message = "", std::optional<std::int64_t> line = std::nullopt) {
  return {std::move(code), std::move(message), line};
}

Batch failed_with(std::vector<BatchError> errors) {
  Batch batch;
  batch.status = BatchStatus::failed;
  batch.errors = std::move(errors);
  return batch;
}

TEST(Refusal, TellsWhatIsWrongByTheProvidersCode) {
  EXPECT_EQ(fault_of(failed_with({})), Fault::passing);
  EXPECT_EQ(fault_of(failed_with({said("server_error", "try again")})), Fault::passing);
  EXPECT_EQ(fault_of(failed_with({said("invalid_json_line", "", 3)})), Fault::rows);
  EXPECT_EQ(fault_of(failed_with({said("something_new")})), Fault::rows);
  EXPECT_EQ(fault_of(failed_with({said("token_limit_exceeded")})), Fault::quota);
  EXPECT_EQ(fault_of(failed_with({said("", "Enqueued: token_limit_exceeded for mini")})), Fault::quota);
  EXPECT_EQ(fault_of(failed_with({said("model_not_found")})), Fault::account);
  EXPECT_EQ(fault_of(failed_with({said("too_many_tasks")})), Fault::size);
  for (const char* code : {"duplicate_custom_id", "url_mismatch", "model_mismatch", "empty_file", "empty_batch"}) {
    EXPECT_EQ(fault_of(failed_with({said(code, "", 5)})), Fault::ours) << code;
  }
}

TEST(Refusal, BlamesRowsWhenAnyOfTheErrorsNamesOneOfTheirLines) {
  EXPECT_EQ(fault_of(failed_with({said("duplicate_custom_id", "", 2), said("invalid_json_line", "", 3)})), Fault::rows);
}

TEST(Refusal, LinesThatNoFileHasBlameNobody) {
  const auto blamed = blamed_lines(
      R"({"code":"c","message":"m","lines":[{"line":0,"code":"c","message":"m"},{"line":-7,"code":"c","message":"m"},{"line":2,"code":"c","message":"m"}]})");
  ASSERT_EQ(blamed.size(), 1U);
  EXPECT_EQ(blamed.begin()->first, 2);
}

TEST(Refusal, ARecordedErrorOfAnotherMakingBlamesWhomItCan) {
  const auto blamed = blamed_lines(R"({"lines":[7,null,{"line":"3"},{"line":4},{"line":5,"code":6,"message":"m"}]})");
  ASSERT_EQ(blamed.size(), 2U);
  EXPECT_EQ(blamed.at(5), R"({"code":"","message":"m"})");
  EXPECT_TRUE(blamed_lines(R"({"lines":{"line":1}})").empty());
}

TEST(Refusal, AFileThatIsTooLargeIsKnownByItsStatusToo) {
  EXPECT_EQ(fault_of(R"({"code":"permanent","message":"no","status":413})"), Fault::size);
  EXPECT_EQ(fault_of(R"({"code":"permanent","message":"no","status":400})"), Fault::rows);
  EXPECT_EQ(fault_of(R"({"code":"x","message":"The file is larger than 209715200 bytes"})"), Fault::size);
  EXPECT_EQ(fault_of("not JSON"), Fault::passing);
}

TEST(Refusal, ATrialIsAcceptedOnceItsBatchWasSeenPastValidation) {
  EXPECT_EQ(trial_of(ShardState::submitted, FinishReason::none, false, 5), Trial::waiting);
  EXPECT_EQ(trial_of(ShardState::submitted, FinishReason::none, true, 5), Trial::accepted);
  EXPECT_EQ(trial_of(ShardState::finished, FinishReason::ran, false, 5), Trial::accepted);
  EXPECT_EQ(trial_of(ShardState::finished, FinishReason::cancelled, false, 5), Trial::gone);
  EXPECT_EQ(trial_of(ShardState::finished, FinishReason::cancelled, true, 5), Trial::accepted);
  EXPECT_EQ(trial_of(ShardState::finished, FinishReason::given_up, false, 5), Trial::gone);
}

TEST(Refusal, ARefusedTrialIsWaitedForUntilOneOfItsRequestsIsLeft) {
  EXPECT_EQ(trial_of(ShardState::finished, FinishReason::refused, false, 2), Trial::waiting);
  EXPECT_EQ(trial_of(ShardState::finished, FinishReason::refused, false, 1), Trial::refused);
  EXPECT_EQ(trial_of(ShardState::merged, FinishReason::refused, false, 0), Trial::refused);
}

TEST(Refusal, NeverBlamesARequestForOurMistakesOrTheAccounts) {
  for (const Fault fault : {Fault::ours, Fault::account, Fault::quota}) {
    RefusedShard shard;
    shard.fault = fault;
    shard.undecided = 1;
    shard.lane_works = true;
    EXPECT_EQ(next_step(shard), RefusedStep::pause_lane);
  }
}

TEST(Refusal, DividesWhatIsTooLargeUntilOneRequestIsTooLargeByItself) {
  RefusedShard shard;
  shard.fault = Fault::size;
  shard.undecided = 2;
  EXPECT_EQ(next_step(shard), RefusedStep::divide);
  shard.undecided = 1;
  EXPECT_EQ(next_step(shard), RefusedStep::blame_last);
}

TEST(Refusal, ALoneSuspectIsBlamedOnlyWhenItsLaneIsKnownToWork) {
  RefusedShard shard;
  shard.undecided = 1;
  EXPECT_EQ(next_step(shard), RefusedStep::count_attempt);
  shard.halved = true;
  EXPECT_EQ(next_step(shard), RefusedStep::wait);
  shard.other_suspect = true;
  EXPECT_EQ(next_step(shard), RefusedStep::pause_lane);
  shard.lane_works = true;
  EXPECT_EQ(next_step(shard), RefusedStep::blame_last);
}

TEST(Refusal, ALoneSuspectDoesNotWaitForEver) {
  RefusedShard shard;
  shard.undecided = 1;
  shard.halved = true;
  shard.waited = Milliseconds{3'600'000};
  EXPECT_EQ(next_step(shard), RefusedStep::count_attempt);
}

TEST(Refusal, SuspectsThatAreAllThatIsLeftOfALaneComeToAnEndToo) {
  RefusedShard shard;
  shard.undecided = 1;
  shard.halved = true;
  shard.other_suspect = true;
  shard.pauses = 5;
  EXPECT_EQ(next_step(shard), RefusedStep::pause_lane);
  shard.pauses = 6;
  EXPECT_EQ(next_step(shard), RefusedStep::count_attempt);
}

/// Plays the halving of n requests with one culprit against a provider that refuses files without naming lines.
struct Halving {
  int culprit = 0;
  int submissions = 1;  // the first one, which was refused
  bool lane_works = false;
  std::vector<int> free;  // went free, waiting for the last submission
  int blamed = -1;

  /// What becomes of requests first .. first + count - 1, whose file was just refused.
  void refused(int first, int count, bool halved) {
    RefusedShard shard;
    shard.undecided = count;
    shard.halved = halved;
    for (;;) {
      shard.lane_works = lane_works;
      switch (next_step(shard)) {
        case RefusedStep::try_half: {
          const int half = static_cast<int>(shard.undecided / 2);
          const bool guilty = culprit >= first && culprit < first + half;
          ++submissions;
          shard.trial = guilty ? Trial::refused : Trial::accepted;
          if (guilty) refused(first, half, true);
          if (!guilty) lane_works = true;
          first += half;
          shard.undecided -= half;
          break;
        }
        case RefusedStep::release:
          for (int i = 0; i < shard.undecided; ++i) free.push_back(first + i);
          return;
        case RefusedStep::blame_last:
          blamed = first;
          return;
        case RefusedStep::wait:  // until what went free has shown that the lane works
          suspect = first;
          return;
        default:
          FAIL() << "an unexpected step";
      }
    }
  }
  int suspect = -1;
};

TEST(Refusal, FindsOneCulpritWithinTheLogarithmOfTheRequestsAndOneMoreSubmissions) {
  for (const int n : {2, 3, 7, 8, 9, 100, 1000}) {
    const int bound = static_cast<int>(std::bit_width(static_cast<unsigned>(n - 1))) + 1;
    for (int culprit = 0; culprit < n; ++culprit) {
      Halving play;
      play.culprit = culprit;
      play.refused(0, n, false);
      if (!play.free.empty()) ++play.submissions;
      if (play.suspect >= 0) {
        EXPECT_FALSE(play.free.empty());
        play.lane_works = true;
        play.refused(play.suspect, 1, true);
      }
      EXPECT_EQ(play.blamed, culprit);
      EXPECT_LE(play.submissions - 1, bound) << n << " requests, culprit " << culprit;
    }
  }
}

}  // namespace
}  // namespace batchd
