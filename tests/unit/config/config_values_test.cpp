#include "config_values.hpp"

#include <gtest/gtest.h>

namespace batchd {
namespace {

TEST(Durations, AreANumberAndAUnit) {
  EXPECT_EQ(parse_duration("500ms"), Milliseconds(500));
  EXPECT_EQ(parse_duration("90s"), Milliseconds(90'000));
  EXPECT_EQ(parse_duration("2m"), Milliseconds(120'000));
  EXPECT_EQ(parse_duration("24h"), Milliseconds(86'400'000));
  EXPECT_EQ(parse_duration("30d"), Milliseconds(2'592'000'000));
  EXPECT_EQ(parse_duration("0s"), Milliseconds(0));
  for (const char* bad :
       {"", "5", "s", "-1s", "1.5h", "1 s", " 1s", "1s ", "1S", "1h30m", "99999999999999999999s", "9223372036854775807d"}) {
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  }
}

TEST(Sizes, KnowBothFamiliesOfUnits) {
  EXPECT_EQ(parse_size("64MiB"), 67'108'864);
  EXPECT_EQ(parse_size("200MB"), 200'000'000);
  EXPECT_EQ(parse_size("2GiB"), 2'147'483'648);
  EXPECT_EQ(parse_size("512"), 512);
  for (const char* bad : {"", "MiB", "64 MiB", "64mb", "64Mb", "-1MB", "9223372036854775807KB"})
    EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
}

TEST(Counts, AreInThousandsMillionsAndBillions) {
  EXPECT_EQ(parse_count("1B"), 1'000'000'000);
  EXPECT_EQ(parse_count("200M"), 200'000'000);
  EXPECT_EQ(parse_count("50K"), 50'000);
  EXPECT_EQ(parse_count("1200"), 1'200);
  for (const char* bad : {"", "B", "1 B", "1b", "200m", "1.5M", "1T"}) EXPECT_EQ(parse_count(bad), std::nullopt) << bad;
}

TEST(Formats, AreReadBackAsTheSameValue) {
  EXPECT_EQ(format_duration(Milliseconds(60'000)), "1m");
  EXPECT_EQ(format_duration(Milliseconds(1'500)), "1500ms");
  EXPECT_EQ(format_duration(Milliseconds(0)), "0s");
  EXPECT_EQ(format_size(33'554'432), "32MiB");
  EXPECT_EQ(format_size(200'000'000), "200MB");
  EXPECT_EQ(format_count(1'000'000'000), "1B");
  EXPECT_EQ(format_count(1'234), "1234");
  for (const std::int64_t value : {0LL, 1LL, 999LL, 1'000LL, 1'024LL, 86'400'000LL, 123'456'789LL}) {
    EXPECT_EQ(parse_duration(format_duration(Milliseconds(value))), Milliseconds(value));
    EXPECT_EQ(parse_size(format_size(value)), value);
    EXPECT_EQ(parse_count(format_count(value)), value);
  }
}

TEST(InQuotes, StaysOnItsLineAndCutsBetweenCharacters) {
  EXPECT_EQ(in_quotes("a\n\x1b[31m"), R"("a\x0a\x1b[31m")");
  EXPECT_EQ(in_quotes("x\xC3"), R"("x\xc3")");
  EXPECT_EQ(in_quotes(std::string(59, 'x') + "\xC3\xA9y"), '"' + std::string(59, 'x') + "...\"");
}

TEST(EditDistance, CountsSwapsOfNeighboursOnce) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("interval", "interval"), 0U);
  EXPECT_EQ(edit_distance("intervall", "interval"), 1U);
  EXPECT_EQ(edit_distance("itnerval", "interval"), 1U);
  EXPECT_EQ(edit_distance("linger", "ttl"), 6U);
}

}  // namespace
}  // namespace batchd
