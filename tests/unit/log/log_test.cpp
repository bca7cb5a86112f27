#include "log.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <functional>
#include <regex>
#include <sstream>

namespace batchd {
namespace {

/// What `speak` makes a log write, line by line.
std::vector<std::string> lines(LogLevel least, LogFormat format, const std::function<void(Log&)>& speak) {
  testing::internal::CaptureStderr();
  {
    Log log(least, format);
    speak(log);
  }
  std::istringstream in(testing::internal::GetCapturedStderr());
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

TEST(Log, WritesOneJsonObjectALineWhenStderrIsNoTerminal) {
  const auto out = lines(LogLevel::info, LogFormat::automatic, [](Log& log) {
    log.info("shard_uploaded", {{"shard", 12}, {"file", "file-1"}, {"share", 0.25}, {"last", true}});
  });
  ASSERT_EQ(out.size(), 1U);
  const auto line = boost::json::parse(out[0]).as_object();
  EXPECT_TRUE(
      std::regex_match(std::string(line.at("time").as_string()), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  EXPECT_EQ(line.at("level").as_string(), "info");
  EXPECT_EQ(line.at("event").as_string(), "shard_uploaded");
  EXPECT_EQ(line.at("shard").as_int64(), 12);
  EXPECT_EQ(line.at("file").as_string(), "file-1");
  EXPECT_EQ(line.at("share").as_double(), 0.25);
  EXPECT_TRUE(line.at("last").as_bool());
}

TEST(Log, StaysValidJsonWhateverAProviderSent) {
  const std::string nasty =
      std::string("quote \" back \\ line\nnul ") + '\0' + " bad \xff \xc0\xaf \xed\xa0\x80 good \xf0\x9f\x98\x80";
  const auto out = lines(LogLevel::info, LogFormat::json, [&](Log& log) { log.info("x", {{"message", nasty}}); });
  ASSERT_EQ(out.size(), 1U);
  const auto line = boost::json::parse(out[0]).as_object();
  const std::string message(line.at("message").as_string());
  EXPECT_NE(message.find("quote \" back \\ line\nnul "), std::string::npos);
  EXPECT_NE(message.find("good \xf0\x9f\x98\x80"), std::string::npos);
  EXPECT_EQ(message.find('\xff'), std::string::npos);
}

TEST(Log, CutsALongValue) {
  const std::string page(100'000, 'x');
  const auto out = lines(LogLevel::info, LogFormat::json, [&](Log& log) { log.info("x", {{"message", page}}); });
  ASSERT_EQ(out.size(), 1U);
  EXPECT_LT(out[0].size(), 2'200U);
}

TEST(Log, LeavesOutWhatIsLessImportant) {
  const auto out = lines(LogLevel::warn, LogFormat::json, [](Log& log) {
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
  });
  ASSERT_EQ(out.size(), 2U);
  EXPECT_NE(out[0].find("\"event\":\"c\""), std::string::npos);
  EXPECT_NE(out[0].find("\"level\":\"warn\""), std::string::npos);
  EXPECT_NE(out[1].find("\"level\":\"error\""), std::string::npos);
}

TEST(Log, LimitsWarningsOfOneEventToOneASecondAndOthersNot) {
  const auto out = lines(LogLevel::info, LogFormat::json, [](Log& log) {
    for (int i = 0; i < 100; ++i) log.warn("database_away");
    for (int i = 0; i < 100; ++i) log.error("lease_lost");
    for (int i = 0; i < 5; ++i) log.info("shard_planned");
  });
  EXPECT_EQ(out.size(), 1U + 1U + 5U);
}

TEST(Log, CountsWhatItLeftOutInTheNextLine) {
  const auto out = lines(LogLevel::info, LogFormat::json, [](Log& log) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    // Speaks until the second is over: the line that gets through then must own up to the silent ones.
    while (Clock::now() - start < std::chrono::milliseconds(1'100)) log.warn("database_away");
  });
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].find("suppressed"), std::string::npos);
  EXPECT_GT(boost::json::parse(out[1]).at("suppressed").as_int64(), 0);
}

TEST(Log, TextIsOneLineAnEventWithQuotesOnlyWhereNeeded) {
  const auto out = lines(LogLevel::info, LogFormat::text, [](Log& log) {
    log.info("shard_uploaded", {{"shard", 12}, {"file", "file-1"}, {"note", "two words\nand a line"}});
  });
  ASSERT_EQ(out.size(), 1U);
  EXPECT_NE(out[0].find("shard=12 file=file-1 note=\"two words\\nand a line\""), std::string::npos);
}

TEST(Log, KnowsTheWordsOfTheConfiguration) {
  EXPECT_EQ(parse_log_level("warn"), LogLevel::warn);
  EXPECT_EQ(parse_log_level("loud"), std::nullopt);
  EXPECT_EQ(parse_log_format("auto"), LogFormat::automatic);
  EXPECT_EQ(parse_log_format("xml"), std::nullopt);
}

}  // namespace
}  // namespace batchd
