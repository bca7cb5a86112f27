#include "log_limit.hpp"

#include <gtest/gtest.h>

namespace batchd {
namespace {

using std::chrono::milliseconds;

constexpr LogLimit::TimePoint start{};

TEST(LogLimit, LetsOneLineOfACauseThroughASecond) {
  LogLimit limit;
  int written = 0;
  for (int ms = 0; ms < 10'000; ms += 10) written += limit.admit("away", start + milliseconds(ms)).has_value() ? 1 : 0;
  EXPECT_EQ(written, 10);
}

TEST(LogLimit, TheNextLineSaysHowManyWereLeftOut) {
  LogLimit limit;
  EXPECT_EQ(limit.admit("away", start), 0);
  for (int i = 1; i <= 7; ++i) EXPECT_EQ(limit.admit("away", start + milliseconds(100 * i)), std::nullopt);
  EXPECT_EQ(limit.admit("away", start + milliseconds(999)), std::nullopt);
  EXPECT_EQ(limit.admit("away", start + milliseconds(1'000)), 8);
  EXPECT_EQ(limit.admit("away", start + milliseconds(2'000)), 0) << "told once";
}

TEST(LogLimit, CausesDoNotSilenceOneAnother) {
  LogLimit limit;
  EXPECT_EQ(limit.admit("a", start), 0);
  EXPECT_EQ(limit.admit("b", start), 0);
  EXPECT_EQ(limit.admit("a", start), std::nullopt);
  EXPECT_EQ(limit.admit("b", start + milliseconds(1'000)), 0);
}

TEST(LogLimit, RemembersABoundedNumberOfCauses) {
  LogLimit limit;
  for (int i = 0; i < 100'000; ++i) EXPECT_EQ(limit.admit(std::to_string(i), start + milliseconds(i / 100)), 0);
  EXPECT_LE(limit.size(), 1'000U);
}

TEST(CauseOf, TheSameErrorOfAnotherShardIsTheSameCause) {
  const std::string one =
      cause_of("upload.failed", {{"shard", 1}, {"status", 500}, {"message", "request req-7f3a failed after 12 s"}});
  EXPECT_EQ(one, cause_of("upload.failed", {{"shard", 2}, {"status", 500}, {"message", "request req-991b failed after 3 s"}}));
}

TEST(CauseOf, AnotherErrorDeploymentOrEventIsAnotherCause) {
  const std::string one = cause_of("lane.paused", {{"deployment", "d1"}, {"code", "x"}, {"message", "refused"}});
  EXPECT_NE(one, cause_of("lane.paused", {{"deployment", "d1"}, {"code", "x"}, {"message", "gone"}}));
  EXPECT_NE(one, cause_of("lane.paused", {{"deployment", "d2"}, {"code", "x"}, {"message", "refused"}}));
  EXPECT_NE(one, cause_of("lane.paused", {{"deployment", "d1"}, {"code", "y"}, {"message", "refused"}}));
  EXPECT_NE(one, cause_of("lane.resumed", {{"deployment", "d1"}, {"code", "x"}, {"message", "refused"}}));
  EXPECT_NE(cause_of("status.failed", {{"error", "connection refused"}}),
            cause_of("status.failed", {{"error", "statement timeout"}}));
}

TEST(CauseOf, AFactWithoutAnErrorIsOnlyTheSameAsItself) {
  const std::string one = cause_of("submission.fenced", {{"shard", 1}, {"attempt", 2}});
  EXPECT_NE(one, cause_of("submission.fenced", {{"shard", 3}, {"attempt", 2}}));
  EXPECT_EQ(one, cause_of("submission.fenced", {{"shard", 1}, {"attempt", 2}}));
}

}  // namespace
}  // namespace batchd
