// Money: what shards set aside before they are submitted, what their answers have cost, and who waits for a cap.
#include "conformance/store_conformance.hpp"

#include <chrono>
#include <thread>

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// One nanodollar for an input token, ten for one of output.
const Prices simple{1'000, 500, 10'000, 0};

class StoreMoney : public StoreConformance {
 protected:
  /// The sums are of a UTC day: none of these tests is to see it turn by itself.
  void SetUp() override {
    constexpr std::chrono::seconds day{86'400}, longest_test{60};
    const auto of_day = std::chrono::system_clock::now().time_since_epoch() % day;
    if (day - of_day < longest_test) std::this_thread::sleep_for(day - of_day);
  }

  MoneyRules rules(std::optional<NanoDollars> daily, std::optional<NanoDollars> per_job = {}) {
    MoneyRules money;
    money.prices["m"] = simple;
    money.daily = daily;
    money.per_job = per_job;
    money.assumed_output = 100;
    money.max_output = 1'000;
    return money;
  }
  Term payer(const MoneyRules& money) {
    const Term term = planner();
    publish(term, money);
    return term;
  }
  void publish(Term term, const MoneyRules& money) {
    EXPECT_TRUE(wait(store.publish(term, {{"dep", "prov", "m", 1'000'000}}, money)));
  }
  Shard written(Term term, NanoDollars bound, const std::string& job = "default", int requests = 1, NanoDollars least = 0) {
    enqueue(requests, job);
    const Shard shard = planned(term, requests);
    Uploaded event{FileId{"file-" + std::to_string(shard.id.value)}, 1000, 10, {}};
    event.bounds = {{job, bound, least > 0 ? least : bound}};
    return step(term, shard, event);
  }
  SaveResult announce(Term term, Shard& shard) {
    const Shard after = batchd::apply(shard, Intended{});
    const SaveResult result = wait(store.save(term, shard, after, true));
    if (result == SaveResult::saved) shard = after;
    return result;
  }
  /// Ends an announced shard with answers of these costs.
  void answer(Term term, Shard shard, NanoDollars cost, BatchStatus status = BatchStatus::completed) {
    Batch b = batch_of(shard, status);
    b.output_file_id = FileId{"out-" + std::to_string(shard.id.value)};
    shard = step(term, shard, Created{b});
    shard = step(term, shard, Ended{b});
    ShardContents contents = wait(store.contents(shard.id));
    SettleChunk chunk;
    for (const RequestId id : undecided(contents)) {
      chunk.settled.push_back(answered(id));
      chunk.settled.back().cost = cost;
    }
    EXPECT_TRUE(settle(term, shard, contents, std::move(chunk)));
    step(term, step(term, shard, Merged{}), Closed{});
  }
  BudgetGauges budget() { return wait(store.gauges()).budget; }
  NanoDollars cost_of_job(const std::string& job) {
    for (const JobProgress& progress : wait(store.jobs(100))) {
      if (progress.job == job) return progress.cost;
    }
    return -1;
  }
  std::vector<std::string> waiting_jobs() {
    std::vector<std::string> jobs;
    for (const Flow& flow : wait(store.backlog())) jobs.push_back(flow.job);
    std::sort(jobs.begin(), jobs.end());
    return jobs;
  }
  bool lane_needs_money() { return wait(store.deployments()).at(0).needs_money; }
};

TEST_P(StoreMoney, CostsNothingWherePricesAreNotKnown) {
  const Term term = planner();
  Shard shard = written(term, 50);
  EXPECT_FALSE(wait(store.contents(shard.id)).tariff.has_value());
  const Shard plain = submitted(term);
  EXPECT_EQ(budget().reserved, 0);
  EXPECT_EQ(budget().daily, std::nullopt);
}

TEST_P(StoreMoney, TellsWhatAShardsRequestsMayCost) {
  MoneyRules money = rules(1'000, 300);
  money.strict = true;
  const Term term = payer(money);
  Shard first = written(term, 100, "a");
  EXPECT_EQ(announce(term, first), SaveResult::saved);
  const Shard staged = written(term, 20, "a");
  enqueue(1, "a");
  enqueue(1, "b");
  const Shard shard = planned(term);
  const auto tariff = wait(store.contents(shard.id)).tariff;
  ASSERT_TRUE(tariff.has_value());
  EXPECT_EQ(tariff->prices, simple);
  EXPECT_TRUE(tariff->strict);
  EXPECT_EQ(tariff->max_output, 1'000);
  EXPECT_EQ(tariff->assumed_output, 100);
  EXPECT_EQ(tariff->usual_output, std::nullopt);
  ASSERT_TRUE(tariff->day.has_value());
  EXPECT_EQ(tariff->day->left(), 880) << "reserved, and in a file that waits";
  ASSERT_EQ(tariff->jobs.size(), 2U);
  EXPECT_EQ(tariff->jobs[0].job, "a");
  EXPECT_EQ(tariff->jobs[0].cap->left(), 180);
  EXPECT_EQ(tariff->jobs[1].cap->left(), 300);
  const ShardContents contents = wait(store.contents(shard.id));
  for (const RequestId id : undecided(contents)) {
    const FlowId flow = contents.members.flow_at(contents.members.rank(id).value());
    EXPECT_TRUE(contents.tariff->job_of.contains(flow));
  }
}

TEST_P(StoreMoney, ReservesWithTheAnnouncementAndSettlesWithTheMerge) {
  const Term term = payer(rules(1'000));
  Shard shard = written(term, 400, "j", 2);
  EXPECT_EQ(budget().reserved, 0) << "a file costs nothing yet";
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
  EXPECT_EQ(budget().reserved, 400);
  EXPECT_EQ(budget().daily, 1'000);
  answer(term, shard, 70);
  EXPECT_EQ(budget().reserved, 0);
  EXPECT_EQ(budget().spent, 140);
  EXPECT_EQ(budget().spent_by_deployment.at("dep"), 140);
  EXPECT_EQ(cost_of_job("j"), 140);
}

TEST_P(StoreMoney, NeverReservesMoreThanADayHas) {
  const Term term = payer(rules(1'000));
  Shard first = written(term, 600), second = written(term, 401), third = written(term, 400);
  EXPECT_EQ(announce(term, first), SaveResult::saved);
  EXPECT_EQ(announce(term, second), SaveResult::no_money);
  EXPECT_EQ(reserved(), 10) << "the quota is not taken either";
  EXPECT_EQ(announce(term, third), SaveResult::saved);
  EXPECT_EQ(budget().reserved, 1'000);
  step(term, second, GivenUp{});
}

TEST_P(StoreMoney, NeverReservesMoreThanAJobHas) {
  const Term term = payer(rules(std::nullopt, 500));
  Shard first = written(term, 400, "a"), second = written(term, 101, "a"), other = written(term, 500, "b");
  EXPECT_EQ(announce(term, first), SaveResult::saved);
  EXPECT_EQ(announce(term, second), SaveResult::no_money);
  EXPECT_EQ(announce(term, other), SaveResult::saved);
  EXPECT_EQ(budget().reserved, 900) << "a refused reservation leaves nothing behind";
}

TEST_P(StoreMoney, ComesBackWhenNothingRan) {
  const Term term = payer(rules(1'000));
  Shard shard = written(term, 600);
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
  shard = step(term, shard, NotCreated{});
  EXPECT_EQ(budget().reserved, 0);
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
  EXPECT_EQ(budget().reserved, 600) << "the next attempt sets the same aside";
  shard = step(term, shard, Created{batch_of(shard)});
  shard = step(term, shard, NotRun{});
  EXPECT_EQ(budget().reserved, 0);
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
  shard = step(term, shard, NotFoundInList{});
  EXPECT_EQ(budget().reserved, 600) << "it may have become a batch";
  shard = step(term, shard, Fenced{});
  EXPECT_EQ(budget().reserved, 0);
}

TEST_P(StoreMoney, IsRefusedWithItsBatch) {
  const Term term = payer(rules(1'000));
  Shard shard = written(term, 600);
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
  shard = step(term, shard, Created{batch_of(shard)});
  shard = step(term, shard, Ended{batch_of(shard, BatchStatus::failed)});
  EXPECT_EQ(budget().reserved, 0);
}

TEST_P(StoreMoney, StaysReservedUntilTheAnswersOfACancelledBatchAreStored) {
  const Term term = payer(rules(1'000));
  Shard shard = written(term, 600, "j", 2);
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
  Batch b = batch_of(shard, BatchStatus::cancelled);
  b.output_file_id = FileId{"out"};
  shard = step(term, shard, Created{b});
  shard = step(term, shard, Ended{b});
  EXPECT_EQ(budget().reserved, 600);
  ShardContents contents = wait(store.contents(shard.id));
  const std::vector<RequestId> ids = undecided(contents);
  SettleChunk chunk;
  chunk.settled.push_back(answered(ids.at(0)));
  chunk.settled.back().cost = 90;
  chunk.returned.push_back(returned(ids.at(1), 0));
  EXPECT_TRUE(settle(term, shard, contents, std::move(chunk)));
  EXPECT_EQ(budget().reserved, 600);
  EXPECT_EQ(budget().spent, 0);
  shard = step(term, shard, Merged{});
  EXPECT_EQ(budget().reserved, 0);
  EXPECT_EQ(budget().spent, 90) << "what was answered is paid for";
  EXPECT_EQ(cost_of_job("j"), 90);
}

TEST_P(StoreMoney, CountsAChunkOnceHoweverOftenItIsWritten) {
  const Term term = payer(rules(1'000));
  Shard shard = written(term, 600, "j", 1);
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
  Batch b = batch_of(shard, BatchStatus::completed);
  shard = step(term, shard, Created{b});
  shard = step(term, shard, Ended{b});
  ShardContents contents = wait(store.contents(shard.id));
  SettleChunk chunk;
  chunk.settled.push_back(answered(undecided(contents).at(0)));
  chunk.settled.back().cost = 90;
  EXPECT_TRUE(settle(term, shard, contents, chunk));
  EXPECT_TRUE(settle(term, shard, contents, chunk)) << "the answer to its COMMIT was lost";
  step(term, shard, Merged{});
  EXPECT_EQ(budget().spent, 90);
}

TEST_P(StoreMoney, IsSetAsideForABatchThatTurnsUp) {
  const Term term = payer(rules(100));
  Shard shard = written(term, 600);
  shard = step(term, shard, Found{batch_of(shard), 1, *shard.input_file});
  EXPECT_EQ(budget().reserved, 600) << "whatever the cap says: it is there";
  Batch b = batch_of(shard, BatchStatus::completed);
  shard = step(term, shard, Ended{b});
  EXPECT_EQ(budget().reserved, 600);
}

TEST_P(StoreMoney, OfAnotherDayIsNotInTheWay) {
  const Term term = payer(rules(1'000));
  Shard first = written(term, 900), second = written(term, 900);
  EXPECT_EQ(announce(term, first), SaveResult::saved);
  EXPECT_EQ(announce(term, second), SaveResult::no_money);
  harness->pass(24h);
  EXPECT_EQ(budget().reserved, 0);
  Shard third = written(term, 900);
  EXPECT_EQ(announce(term, third), SaveResult::saved);
  answer(term, first, 50);
  EXPECT_EQ(budget().spent, 0) << "it was submitted yesterday";
  EXPECT_EQ(budget().reserved, 900);
  EXPECT_EQ(cost_of_job("default"), 50);
}

TEST_P(StoreMoney, HoldsBackWhatHasNoRoomAndSaysSo) {
  const Term term = payer(rules(1'000));
  Shard first = written(term, 900, "a");
  EXPECT_EQ(announce(term, first), SaveResult::saved);
  Shard second = written(term, 400, "a", 2, 150);
  EXPECT_FALSE(lane_needs_money());
  EXPECT_EQ(announce(term, second), SaveResult::no_money);
  EXPECT_TRUE(lane_needs_money());
  second = step(term, second, GivenUp{});
  ShardContents contents = wait(store.contents(second.id));
  SettleChunk back;
  for (const RequestId id : undecided(contents)) back.returned.push_back(returned(id, 0));
  EXPECT_TRUE(settle(term, second, contents, std::move(back)));
  step(term, step(term, second, Merged{}), Closed{});
  enqueue(1, "b");
  EXPECT_THAT(waiting_jobs(), ElementsAre("b")) << "a would only be left out again";

  answer(term, first, 10);
  EXPECT_THAT(waiting_jobs(), ElementsAre("a", "b")) << "there is room again";
  const Shard third = planned(term);
  Uploaded event{FileId{"file"}, 1000, 10, {}};
  event.bounds = {{"a", 300, 150}, {"b", 10, 10}};
  step(term, third, event);
  EXPECT_FALSE(lane_needs_money());
}

TEST_P(StoreMoney, LooksAgainAfterAWhile) {
  const Term term = payer(rules(1'000));
  Shard first = written(term, 900, "a"), second = written(term, 400, "a");
  EXPECT_EQ(announce(term, first), SaveResult::saved);
  EXPECT_EQ(announce(term, second), SaveResult::no_money);
  enqueue(1, "a");
  EXPECT_THAT(waiting_jobs(), IsEmpty());
  harness->pass(16min);
  EXPECT_THAT(waiting_jobs(), ElementsAre("a")) << "something cheaper may have come";
  EXPECT_TRUE(lane_needs_money()) << "and until that is known it is still said";
}

TEST_P(StoreMoney, RemembersWhatIsLeftOutOfAFile) {
  const Term term = payer(rules(1'000));
  enqueue(2, "a");
  const Shard shard = planned(term);
  ShardContents contents = wait(store.contents(shard.id));
  SettleChunk chunk;
  chunk.returned.push_back(returned(undecided(contents).at(1), 0));
  chunk.shortages.push_back({"a", 1'200, 1'200, false});
  EXPECT_TRUE(settle(term, shard, contents, std::move(chunk)));
  EXPECT_TRUE(lane_needs_money());
  EXPECT_THAT(waiting_jobs(), IsEmpty());
}

TEST_P(StoreMoney, LetsOthersPassWhatIsAboveAWholeCap) {
  const Term term = payer(rules(1'000));
  enqueue(2, "a");
  const Shard shard = planned(term);
  ShardContents contents = wait(store.contents(shard.id));
  SettleChunk chunk;
  const RequestId above = undecided(contents).at(1);
  chunk.returned.push_back(returned(above, 0, above_cap_delay, R"({"code":"above_budget","message":"too dear"})"));
  chunk.shortages.push_back({"a", 5'000, 5'000, true});
  EXPECT_TRUE(settle(term, shard, contents, std::move(chunk)));
  EXPECT_TRUE(lane_needs_money());
  EXPECT_THAT(waiting_jobs(), IsEmpty()) << "it is not due";
  enqueue(1, "a");
  EXPECT_THAT(waiting_jobs(), ElementsAre("a"));

  publish(term, rules(1'000));
  EXPECT_TRUE(lane_needs_money()) << "the same rules change nothing";
  publish(term, rules(10'000));
  EXPECT_FALSE(lane_needs_money());
  std::int64_t due = 0;
  for (const Flow& flow : wait(store.backlog())) due += flow.returned;
  EXPECT_EQ(due, 1) << "under another cap it is looked at at once";
}

TEST_P(StoreMoney, RulesOfTheNewestConfigurationHoldForEverybody) {
  const Term first = payer(rules(1'000));
  Shard shard = written(first, 900);
  MoneyRules money = rules(800);
  money.prices["m"].output = 5'000;
  const Term second = join();
  publish(second, money);
  EXPECT_EQ(announce(first, shard), SaveResult::no_money);
  const auto tariff = wait(store.contents(shard.id)).tariff;
  ASSERT_TRUE(tariff.has_value());
  EXPECT_EQ(tariff->prices.output, 5'000);
  publish(second, {});
  EXPECT_FALSE(wait(store.contents(shard.id)).tariff.has_value());
}

TEST_P(StoreMoney, LearnsHowLongAnswersAre) {
  const Term term = payer(rules(std::nullopt));
  Shard shard = written(term, 5'000, "j", 120);
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
  answer(term, shard, 40);
  enqueue(1, "j");
  const Shard next = planned(term);
  const auto tariff = wait(store.contents(next.id)).tariff;
  ASSERT_TRUE(tariff.has_value());
  EXPECT_EQ(tariff->usual_output, 4) << "each had four tokens";
}

TEST_P(StoreMoney, IsNotAskedForByWhatCostsNothing) {
  const Term term = payer(rules(1'000));
  Shard dear = written(term, 5'000);
  step(term, dear, Found{batch_of(dear), 1, *dear.input_file});
  EXPECT_EQ(budget().reserved, 5'000) << "above the cap";
  Shard free = written(term, 0, "default");
  EXPECT_EQ(announce(term, free), SaveResult::saved);
}

TEST_P(StoreMoney, OfALostLeaseIsNotMoved) {
  const Term term = payer(rules(1'000));
  Shard shard = written(term, 600);
  const Shard after = batchd::apply(shard, Intended{});
  EXPECT_EQ(wait(store.save(join(), shard, after, true)), SaveResult::lost);
  EXPECT_EQ(budget().reserved, 0);
}

CONFORMANCE_SUITE(StoreMoney);

}  // namespace
}  // namespace batchd::conformance
