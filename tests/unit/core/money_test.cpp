#include "core/money.hpp"

#include "core/money_step.hpp"

#include <gtest/gtest.h>

#include <random>

namespace batchd {
namespace {

/// gpt-4o-mini at the batch rate: 0.075, 0.0375 and 0.30 dollars a million.
constexpr Prices mini{75'000, 37'500, 300'000, 16'384};

Tariff tariff() {
  Tariff t;
  t.prices = mini;
  t.assumed_output = 1'000;
  t.max_output = 16'384;
  t.jobs = {{"a", {}}, {"b", {}}};
  t.job_of = {{FlowId{1}, 0}, {FlowId{2}, 1}};
  return t;
}

NanoDollars output_cost(Tokens tokens) {
  return tokens * 300;
}

TEST(Money, CostsWhatTheUsageSays) {
  EXPECT_EQ(cost_of({1'000'000, 0, 0}, mini), 75'000'000);
  EXPECT_EQ(cost_of({1'000'000, 1'000'000, 0}, mini), 375'000'000);
  EXPECT_EQ(cost_of({1'000'000, 0, 400'000}, mini), 60'000'000);
  EXPECT_EQ(cost_of({0, 0, 0}, mini), 0);
}

TEST(Money, RoundsOnceForEachRequestAndHalvesUp) {
  const Prices half{500, 499, 0, 0};
  EXPECT_EQ(cost_of({1, 0, 0}, half), 1);
  EXPECT_EQ(cost_of({1, 0, 1}, half), 0);
  EXPECT_EQ(cost_of({3, 0, 0}, half), 2);
}

TEST(Money, TakesNoMoreAsCachedThanThereWasInput) {
  EXPECT_EQ(cost_of({100, 0, 1'000}, mini), cost_of({100, 0, 100}, mini));
  EXPECT_EQ(cost_of({100, 0, -5}, mini), cost_of({100, 0, 0}, mini));
}

TEST(Money, NeverLeavesSixtyFourBits) {
  EXPECT_EQ(cost_of({INT64_MAX, INT64_MAX, 0}, {1'000'000'000'000, 0, 1'000'000'000'000, 0}), most_money);
  EXPECT_EQ(add_money(most_money, most_money), most_money);
  EXPECT_EQ(add_money(1, 2), 3);
}

TEST(Money, IsShownToPeopleWithTwoTellingDigits) {
  EXPECT_EQ(dollars(0), "0.00");
  EXPECT_EQ(dollars(12'340'000'000), "12.34");
  EXPECT_EQ(dollars(500'000'000), "0.50");
  EXPECT_EQ(dollars(1'234'000), "0.0012");
  EXPECT_EQ(dollars(1), "0.000000001");
  EXPECT_EQ(dollars(-1'500'000'000), "-1.50");
  EXPECT_EQ(exact_dollars(1'500'000'000), "1.5");
  EXPECT_EQ(exact_dollars(7'000'000'000), "7");
  EXPECT_EQ(exact_dollars(1), "0.000000001");
}

TEST(Money, ReadsTheLimitThatABodySets) {
  EXPECT_EQ(declared_output(R"({"max_tokens":50})"), 50);
  EXPECT_EQ(declared_output(R"({"max_completion_tokens":70})"), 70);
  EXPECT_EQ(declared_output(R"({"max_output_tokens":90})"), 90);
  EXPECT_EQ(declared_output(R"({"max_tokens":50,"max_completion_tokens":40})"), 40) << "the smaller one holds";
  EXPECT_EQ(declared_output(R"({"max_tokens":50,"n":3})"), 150) << "for each choice";
  EXPECT_EQ(declared_output(R"({"messages":[{"max_tokens":5}]})"), std::nullopt);
  EXPECT_EQ(declared_output(R"({"max_tokens":null})"), std::nullopt);
  EXPECT_EQ(declared_output(R"({"max_tokens":"50"})"), std::nullopt);
  EXPECT_EQ(declared_output("nonsense"), std::nullopt);
}

struct BoundCase {
  const char* what;
  const char* body;
  bool strict;
  std::optional<Tokens> usual;
  bool embeds;
  Tokens output;
};

TEST(Money, BoundsARequestByItsLimitAndByWhatAnswersUsuallyHave) {
  const BoundCase cases[] = {
      {"nothing is known", "{}", false, {}, false, 1'000},
      {"the limit is below what is assumed", R"({"max_tokens":60})", false, {}, false, 60},
      {"the limit is above what is assumed", R"({"max_tokens":6000})", false, {}, false, 1'000},
      {"answers are known to be short", "{}", false, 300, false, 300},
      {"and the limit is shorter still", R"({"max_tokens":60})", false, 300, false, 60},
      {"what is assumed is about one choice", R"({"n":4})", false, {}, false, 4'000},
      {"what is learned is about all of them", R"({"n":4})", false, 300, false, 300},
      {"strict believes the limit only", R"({"max_tokens":6000})", true, 300, false, 6'000},
      {"or the model's maximum", "{}", true, 300, false, 16'384},
      {"of each choice", R"({"n":2})", true, 300, false, 32'768},
      {"an embedding has no output", R"({"max_tokens":60})", true, 300, true, 0},
  };
  for (const BoundCase& c : cases) {
    Tariff t = tariff();
    t.strict = c.strict;
    t.usual_output = c.usual;
    EXPECT_EQ(bound_of(100, c.body, c.embeds, t), 100 * 75 + output_cost(c.output)) << c.what;
  }
}

TEST(Purse, TakesWhatFitsAndGoesOnBehindWhatDoesNot) {
  Tariff t = tariff();
  t.day = CapState{100, 40, false};
  Purse purse(t);
  EXPECT_EQ(purse.take(FlowId{1}, 50), Purse::Fit::fits);
  EXPECT_EQ(purse.take(FlowId{2}, 20), Purse::Fit::later);
  EXPECT_EQ(purse.take(FlowId{2}, 10), Purse::Fit::fits);
  EXPECT_EQ(purse.take(FlowId{2}, 101), Purse::Fit::never) << "above the whole cap";
  EXPECT_EQ(purse.total(), 60);
  const std::vector<JobBound> taken{{"a", 50, 50}, {"b", 10, 10}};
  EXPECT_EQ(purse.bounds(), taken);
  ASSERT_EQ(purse.shortages().size(), 1U);
  EXPECT_EQ(purse.shortages()[0].job, "b");
  EXPECT_EQ(purse.shortages()[0].needs, 20);
  EXPECT_FALSE(purse.shortages()[0].above_cap) << "what may fit some day is told before what never does";
}

TEST(Purse, AlwaysHasRoomForWhatCostsNothing) {
  Tariff t = tariff();
  t.day = CapState{100, 140, true};
  Purse purse(t);
  EXPECT_EQ(purse.take(FlowId{1}, 0), Purse::Fit::fits);
  EXPECT_EQ(purse.take(FlowId{1}, 1), Purse::Fit::later);
}

TEST(Purse, KeepsEachJobUnderItsOwnCap) {
  Tariff t = tariff();
  t.jobs[0].cap = CapState{30, 10, false};
  Purse purse(t);
  EXPECT_EQ(purse.take(FlowId{1}, 15), Purse::Fit::fits);
  EXPECT_EQ(purse.take(FlowId{1}, 15), Purse::Fit::later);
  EXPECT_EQ(purse.take(FlowId{1}, 31), Purse::Fit::never);
  EXPECT_EQ(purse.take(FlowId{2}, 1'000), Purse::Fit::fits) << "the other job has no cap";
}

TEST(Purse, NeverTakesMoreThanIsLeft) {
  std::mt19937 random(7);
  for (int round = 0; round < 2'000; ++round) {
    Tariff t = tariff();
    const NanoDollars day = random() % 1'000, job = random() % 1'000;
    t.day = CapState{1'000, day, true};
    t.jobs[0].cap = CapState{1'000, job, true};
    Purse purse(t);
    NanoDollars of_a = 0, all = 0, least_left_out = most_money;
    for (int i = 0; i < 50; ++i) {
      const FlowId flow{1 + static_cast<std::int64_t>(random() % 2)};
      const NanoDollars bound = random() % 300;
      const bool fits = purse.take(flow, bound) == Purse::Fit::fits;
      if (fits && flow.value == 1) of_a += bound;
      if (fits) all += bound;
      if (!fits) least_left_out = std::min(least_left_out, bound);
    }
    EXPECT_LE(all, 1'000 - day);
    EXPECT_LE(of_a, 1'000 - job);
    EXPECT_EQ(purse.total(), all);
    for (const Shortage& shortage : purse.shortages()) EXPECT_LE(shortage.needs, shortage.wants);
    if (least_left_out < most_money) {
      EXPECT_FALSE(purse.shortages().empty()) << "what is left out is told";
    }
  }
}

TEST(MoneyWait, EndsWhenThereIsRoomForTheCheapest) {
  const MoneyWait wait{"m", "j", 10, 500, false};
  EXPECT_TRUE(must_wait(wait, CapState{100, 95, false}, std::nullopt));
  EXPECT_FALSE(must_wait(wait, CapState{100, 90, false}, std::nullopt));
  EXPECT_FALSE(must_wait(wait, std::nullopt, std::nullopt)) << "the cap is gone";
  EXPECT_TRUE(must_wait(wait, std::nullopt, CapState{100, 95, false}));
  EXPECT_FALSE(must_wait({"m", "j", 1'000, 1'000, true}, CapState{100, 100, false}, std::nullopt))
      << "what is above a whole cap is not in the way of others";
}

TEST(MoneyWait, DoesNotCutWhatComesBackIntoDust) {
  const MoneyWait wait{"m", "j", 1, 10'000, false};
  EXPECT_TRUE(must_wait(wait, CapState{10'000, 9'900, true}, std::nullopt)) << "more will come back";
  EXPECT_FALSE(must_wait(wait, CapState{10'000, 9'800, true}, std::nullopt)) << "a fiftieth is worth a file";
  EXPECT_FALSE(must_wait(wait, CapState{10'000, 9'900, false}, std::nullopt)) << "nothing will";
  EXPECT_FALSE(must_wait({"m", "j", 1, 50, false}, CapState{10'000, 9'900, true}, std::nullopt)) << "it is all that waits";
}

TEST(Money, KnowsTheDayOfATimeInUtc) {
  EXPECT_EQ(utc_day(Milliseconds{0}), 0);
  EXPECT_EQ(utc_day(Milliseconds{86'399'999}), 0);
  EXPECT_EQ(utc_day(Milliseconds{86'400'000}), 1);
  EXPECT_EQ(utc_day(Milliseconds{-1}), -1);
  EXPECT_EQ(utc_day(Milliseconds{1'767'225'600'000}), 20'454) << "2026-01-01";
}

Shard shard(ShardState state, bool intent = false) {
  Shard s;
  s.id = ShardId{1};
  s.requests = 1;
  s.state = state;
  s.intent = intent;
  if (state != ShardState::planned) s.input_file = FileId{"f"};
  if (state == ShardState::submitted) s.batch = BatchId{"b"};
  return s;
}

MoneyStep step(const Shard& before, const ShardEvent& event) {
  return money_step(before, apply(before, event));
}

TEST(MoneySteps, FollowWhatBecomesOfAShard) {
  const Shard planned = shard(ShardState::planned), uploaded = shard(ShardState::uploaded);
  const Shard announced = shard(ShardState::uploaded, true), submitted = shard(ShardState::submitted);
  Batch batch;
  batch.id = BatchId{"b"};
  Batch refused = batch, cancelled = batch;
  refused.status = BatchStatus::failed;
  cancelled.status = BatchStatus::cancelled;

  EXPECT_EQ(step(planned, Uploaded{FileId{"f"}, 1, 1, {}}), MoneyStep::note);
  EXPECT_EQ(step(planned, GivenUp{}), MoneyStep::none);
  EXPECT_EQ(step(uploaded, GivenUp{}), MoneyStep::none) << "nothing was reserved";
  EXPECT_EQ(step(uploaded, FileLost{}), MoneyStep::none);
  EXPECT_EQ(step(uploaded, Intended{}), MoneyStep::reserve);
  EXPECT_EQ(step(uploaded, Found{batch, 1, FileId{"f"}}), MoneyStep::found);
  EXPECT_EQ(step(planned, Found{batch, 1, FileId{"f"}}), MoneyStep::found);
  EXPECT_EQ(step(announced, Created{batch}), MoneyStep::none);
  EXPECT_EQ(step(announced, NotCreated{}), MoneyStep::release);
  EXPECT_EQ(step(announced, Refused{}), MoneyStep::release);
  EXPECT_EQ(step(announced, NotFoundInList{}), MoneyStep::none) << "it may still have become a batch";
  EXPECT_EQ(step(announced, Fenced{}), MoneyStep::release);
  EXPECT_EQ(step(submitted, NotRun{}), MoneyStep::release);
  EXPECT_EQ(step(submitted, Ended{refused}), MoneyStep::release);
  EXPECT_EQ(step(submitted, Ended{cancelled}), MoneyStep::none) << "what it has answered is paid for";
  EXPECT_EQ(step(submitted, Vanished{}), MoneyStep::none);
  const Shard finished = apply(submitted, Ended{cancelled});
  EXPECT_EQ(step(finished, Merged{}), MoneyStep::settle);
  EXPECT_EQ(step(finished, Delayed{}), MoneyStep::none);
}

}  // namespace
}  // namespace batchd
