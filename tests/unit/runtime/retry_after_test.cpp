#include "runtime/retry_after.hpp"

#include <gtest/gtest.h>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;

// 1994-11-06 08:49:37 UTC, the example of RFC 9110
const auto now = std::chrono::system_clock::from_time_t(784111777);

std::optional<Milliseconds> wait_for(const HttpHeaders& headers) {
  return parse_retry_after(headers, now);
}

TEST(RetryAfter, ReadsWholeAndDecimalSeconds) {
  EXPECT_EQ(wait_for({{"Retry-After", "7"}}), 7000ms);
  EXPECT_EQ(wait_for({{"retry-after", " 1.5 "}}), 1500ms);
  EXPECT_EQ(wait_for({{"retry-after", "0"}}), 0ms);
}

TEST(RetryAfter, PrefersMilliseconds) {
  EXPECT_EQ(wait_for({{"retry-after", "7"}, {"Retry-After-Ms", "250"}}), 250ms);
  EXPECT_EQ(wait_for({{"retry-after-ms", "rubbish"}, {"retry-after", "7"}}), 7000ms);
}

TEST(RetryAfter, ReadsDatesAndTreatsPastOnesAsNow) {
  EXPECT_EQ(wait_for({{"retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"}}), 30'000ms);
  EXPECT_EQ(wait_for({{"retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"}}), 0ms);
}

TEST(RetryAfter, CountsADateFromTheAnswersOwnWhateverOurClockSays) {
  EXPECT_EQ(wait_for({{"date", "Mon, 07 Nov 1994 20:00:00 GMT"}, {"retry-after", "Mon, 07 Nov 1994 20:00:09 GMT"}}), 9'000ms);
  EXPECT_EQ(wait_for({{"date", "rubbish"}, {"retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"}}), 30'000ms);
}

TEST(RetryAfter, FallsBackOnWhenWhatIsUsedUpComesBack) {
  const auto reset = [](const std::string& remaining, const std::string& after) {
    return wait_for({{"x-ratelimit-remaining-requests", remaining}, {"x-ratelimit-reset-requests", after}});
  };
  EXPECT_EQ(reset("0", "10"), 10'000ms) << "Azure";
  EXPECT_EQ(reset("0", "6m0s"), 6min) << "OpenAI";
  EXPECT_EQ(reset("0", "1h2m3.5s"), 1h + 2min + 3500ms);
  EXPECT_EQ(reset("0", "250ms"), 250ms);
  EXPECT_EQ(reset("12", "10"), std::nullopt) << "there is some left";
  for (const char* nothing : {"-1", "0", "0s", "soon", "5x", "", "m", "1s!"})
    EXPECT_EQ(reset("0", nothing), std::nullopt) << nothing;
  EXPECT_EQ(reset("-1", "10"), std::nullopt);
  EXPECT_EQ(reset("0", "99999h"), retry_after_cap);
  EXPECT_EQ(wait_for({{"x-ratelimit-remaining-requests", "0"},
                      {"x-ratelimit-reset-requests", "1s"},
                      {"x-ratelimit-remaining-tokens", "0"},
                      {"x-ratelimit-reset-tokens", "1m0s"}}),
            60s);
  EXPECT_EQ(wait_for({{"retry-after", "3"}, {"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "60"}}), 3s);
}

TEST(RetryAfter, IsCappedAndNeverNegative) {
  EXPECT_EQ(wait_for({{"retry-after", "99999999999999999999"}}), retry_after_cap);
  EXPECT_EQ(wait_for({{"retry-after", "86400"}}), 24h);
  EXPECT_EQ(wait_for({{"retry-after", "-5"}}), 0ms);
  EXPECT_EQ(wait_for({{"retry-after", "inf"}}), retry_after_cap);
  EXPECT_EQ(wait_for({{"retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"}}), retry_after_cap);
}

TEST(RetryAfter, IsAbsentWhenItCannotBeRead) {
  EXPECT_EQ(wait_for({}), std::nullopt);
  EXPECT_EQ(wait_for({{"retry-after", ""}}), std::nullopt);
  EXPECT_EQ(wait_for({{"retry-after", "soon"}}), std::nullopt);
  EXPECT_EQ(wait_for({{"retry-after", "nan"}}), std::nullopt);
  EXPECT_EQ(wait_for({{"retry-after", "Sun, 31 Feb 1994 08:50:07 GMT"}}), std::nullopt);
  EXPECT_EQ(wait_for({{"retry-after", "1m0s"}}), std::nullopt);
  for (const char* date : {"Sun, 06 Nov 1994 -8:49:37 GMT", "Sun, 06 Nov 1994 08:99:37 GMT", "Sun, 06\x1dNov 1994 08:49:37 GMT",
                           "Sun, 06 Nov -994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT"}) {
    EXPECT_EQ(parse_http_date(date), std::nullopt) << date;
  }
}

}  // namespace
}  // namespace batchd::testing
