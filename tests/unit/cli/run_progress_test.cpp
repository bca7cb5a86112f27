#include "cli/run_progress.hpp"

#include <gtest/gtest.h>

namespace batchd {
namespace {

TEST(RunProgress, TheBarFillsUp) {
  EXPECT_EQ(progress_bar(0, 10, 4), "[    ]");
  EXPECT_EQ(progress_bar(5, 10, 4), "[##  ]");
  EXPECT_EQ(progress_bar(9, 10, 4), "[### ]");
  EXPECT_EQ(progress_bar(10, 10, 4), "[####]");
  EXPECT_EQ(progress_bar(0, 0, 4), "[    ]");
  EXPECT_EQ(progress_bar(3'000'000'000'000, 3'000'000'000'000, 4), "[####]");
}

TEST(RunProgress, DurationsAreRough) {
  EXPECT_EQ(rough_duration(std::chrono::seconds(0)), "about 1 s");
  EXPECT_EQ(rough_duration(std::chrono::seconds(89)), "about 89 s");
  EXPECT_EQ(rough_duration(std::chrono::seconds(150)), "about 3 min");
  EXPECT_EQ(rough_duration(std::chrono::hours(3)), "about 3 h");
  EXPECT_EQ(rough_duration(std::chrono::hours(72)), "about 3 days");
}

TEST(RunProgress, TheSentenceNamesOnlyWhatThereIs) {
  RunProgress progress;
  progress.lines = 1319;
  progress.queued = 1319;
  EXPECT_EQ(progress_sentence(progress), "0 of 1,319 done, 1,319 waiting");
  progress.settled = 700;
  progress.failed = 3;
  progress.in_flight = 600;
  progress.at_provider = 500;
  progress.queued = 19;
  progress.input_tokens = 12'345;
  EXPECT_EQ(progress_sentence(progress),
            "700 of 1,319 done, 3 failed, 500 at the provider, 119 waiting, 12,345 tokens in, 0 out");
}

TEST(RunProgress, WhyNothingMovesIsSaidWithoutSteeringTheTerminal) {
  RunProgress progress;
  EXPECT_EQ(reason_of_trouble(progress, ""), "");
  EXPECT_EQ(reason_of_trouble(progress, "503: busy"), "trying again: 503: busy");
  progress.trouble = R"({"code":"x","message":"no \u001b[2Jroom"})";
  EXPECT_EQ(reason_of_trouble(progress, ""), "trying again: no  [2Jroom");
  progress.paused = "mini (account)";
  EXPECT_EQ(reason_of_trouble(progress, "401 invalid_api_key: denied"), "paused: mini (account): 401 invalid_api_key: denied");
  EXPECT_NE(reason_of_trouble(progress, "token_limit_exceeded: full").find("--enqueued-token-limit"), std::string::npos);
  EXPECT_LE(reason_of_trouble(progress, std::string(5000, 'x')).size(), 200U);
}

TEST(RunTrouble, HearsWarningsThatSaySomething) {
  RunTrouble trouble;
  EXPECT_EQ(trouble.latest(), "");
  trouble.hear(LogLevel::info, "shard.planned", {{"message", "fine"}});
  trouble.hear(LogLevel::warn, "replica.buried", {{"replicas", 1}});
  EXPECT_EQ(trouble.latest(), "");
  trouble.hear(LogLevel::warn, "upload.failed", {{"status", 401}, {"code", "invalid_api_key"}, {"message", "denied"}});
  EXPECT_EQ(trouble.latest(), "401 invalid_api_key: denied");
  trouble.hear(LogLevel::warn, "upload.failed", {{"status", 0}, {"code", ""}, {"message", "connection refused"}});
  EXPECT_EQ(trouble.latest(), "connection refused");
}

}  // namespace
}  // namespace batchd
