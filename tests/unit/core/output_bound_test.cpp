#include "core/output_bound.hpp"

#include "core/forecast.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace batchd {
namespace {

TEST(OutputSizes, BucketsCoverEveryNumberInOrderAndCloseBy) {
  for (Tokens tokens = 0; tokens < 100'000; ++tokens) {
    const std::size_t bucket = OutputSizes::bucket_of(tokens);
    ASSERT_GE(OutputSizes::top_of(bucket), tokens);
    ASSERT_LE(OutputSizes::top_of(bucket), tokens + tokens / 8);
    if (bucket > 0) {
      ASSERT_LT(OutputSizes::top_of(bucket - 1), tokens);
    }
  }
  EXPECT_EQ(OutputSizes::bucket_of(-5), 0U);
  EXPECT_EQ(OutputSizes::bucket_of(INT64_MAX), OutputSizes::bucket_of(1'000'000'000));
}

TEST(OutputSizes, SayNothingBeforeThereAreEnough) {
  OutputSizes sizes;
  for (int i = 0; i < 99; ++i) sizes.add(500);
  EXPECT_EQ(sizes.usual(), std::nullopt);
  sizes.add(500);
  ASSERT_TRUE(sizes.usual());
  EXPECT_GE(*sizes.usual(), 500);
  EXPECT_LE(*sizes.usual(), 562);
}

TEST(OutputSizes, FindThePercentileWithinAnEighth) {
  std::mt19937 random(3);
  std::lognormal_distribution<double> lengths(5.5, 1.0);
  for (int round = 0; round < 50; ++round) {
    OutputSizes sizes;
    std::vector<Tokens> seen;
    for (int i = 0; i < 5'000; ++i) {
      seen.push_back(static_cast<Tokens>(lengths(random)));
      sizes.add(seen.back());
    }
    std::sort(seen.begin(), seen.end());
    const Tokens exact = seen[seen.size() * 99 / 100 - 1];
    EXPECT_GE(*sizes.usual(), exact);
    EXPECT_LE(*sizes.usual(), exact + exact / 8);
  }
}

TEST(OutputSizes, ForgetWhatWasLongAgo) {
  OutputSizes sizes;
  OutputSizes longer, shorter;
  for (int i = 0; i < 5'000; ++i) longer.add(8'000);
  for (int i = 0; i < 5'000; ++i) shorter.add(50);
  for (int i = 0; i < 20; ++i) sizes.add(longer);
  EXPECT_GE(*sizes.usual(), 8'000);
  EXPECT_LE(sizes.total(), OutputSizes::many);
  for (int i = 0; i < 60; ++i) sizes.add(shorter);
  EXPECT_LT(*sizes.usual(), 60) << "300,000 later answers were short";
  EXPECT_LE(sizes.total(), OutputSizes::many);
}

TEST(OutputSizes, ComeBackFromTheirCounts) {
  OutputSizes sizes;
  for (Tokens t = 0; t < 3'000; ++t) sizes.add(t);
  const OutputSizes again(sizes.counts());
  EXPECT_EQ(again.counts(), sizes.counts());
  EXPECT_EQ(again.usual(), sizes.usual());
  EXPECT_GE(again.mean(), 1'500);
  EXPECT_LE(again.mean(), 1'700);
  const OutputSizes damaged(std::vector<std::int64_t>{-5, 3});
  EXPECT_EQ(damaged.total(), 3);
}

TEST(Forecast, CountsFilesByRowsAndByBytes) {
  FileCounter rows(100, 1'000'000, 10);
  for (int i = 0; i < 250; ++i) rows.add(100);
  EXPECT_EQ(rows.files(), 3);
  FileCounter bytes(100'000, 1'000, 10);
  for (int i = 0; i < 20; ++i) bytes.add(90);
  EXPECT_EQ(bytes.files(), 2);
  bytes.add(5'000);
  EXPECT_EQ(bytes.files(), 3) << "one that fits nowhere has a file of its own";
  EXPECT_EQ(FileCounter(1, 1, 1).files(), 0);
}

TEST(Forecast, FinishesAfterAsManyRoundsAsTheQuotaNeeds) {
  EXPECT_EQ(finish_in(0, 50, 100, Milliseconds{3'600'000}), Milliseconds{3'600'000});
  EXPECT_EQ(finish_in(150, 100, 100, Milliseconds{3'600'000}), Milliseconds{3 * 3'600'000});
  EXPECT_EQ(finish_in(0, 50, 100, std::nullopt), std::nullopt);
  EXPECT_EQ(finish_in(0, 50, 0, Milliseconds{1}), std::nullopt);
}

}  // namespace
}  // namespace batchd
