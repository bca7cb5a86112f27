// What is learnt of a deployment's quota: the same for every replica, and followed by the ledger and by who is leased.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::IsEmpty;

class Quota : public StoreConformance {
 protected:
  Room room() { return wait(store.deployments()).at(0).room; }
  std::optional<Learnt> learn(Term term, const RoomLesson& lesson) { return wait(store.learn(term, "dep", lesson)); }
  /// Numbers of the uploaded shards that may be had now; they are given back.
  std::vector<ShardId> offered(Term term) {
    std::vector<ShardId> ids;
    for (const Shard& shard : wait(store.lease(term, ShardState::uploaded, 10, {}))) ids.push_back(shard.id);
    return ids;
  }
  void end(Term term, const Shard& shard) { step(term, shard, Ended{batch_of(shard, BatchStatus::completed)}); }
  /// A refusal in this very moment of a shard that is announced, and that was all.
  Shard refused(Term term, const Shard& announced, std::optional<Tokens> told = {}) {
    EXPECT_TRUE(learn(term, RoomRefused{announced.reserved, told}));
    return step(term, announced, NotCreated{{ErrorKind::quota, 400, "", "", {}}, 0ms});
  }
};
CONFORMANCE_SUITE(Quota);

TEST_P(Quota, IsBelievedAsConfiguredAtFirst) {
  planner(1000);
  EXPECT_EQ(room().limit, 1000);
  EXPECT_EQ(room().believed, 1000);
  EXPECT_EQ(room().told, std::nullopt);
  EXPECT_EQ(room().since_end, std::nullopt);
}

TEST_P(Quota, WhatIsLearntIsKeptForEverybody) {
  const Term term = planner(100'000);
  step(term, uploaded(term, 1, 40'000), Intended{});
  const Shard shard = step(term, uploaded(term, 1, 8'000), Intended{});
  const auto learnt = learn(term, RoomRefused{8'000, std::nullopt});
  ASSERT_TRUE(learnt);
  EXPECT_EQ(learnt->before.believed, 100'000);
  EXPECT_EQ(learnt->after.believed, 75'000);
  Store& other = harness->store(1);
  const Room seen = wait(other.deployments()).at(0).room;
  EXPECT_EQ(seen.believed, 75'000);
  EXPECT_EQ(seen.strikes, learnt->after.strikes);
  EXPECT_EQ(seen.refusals, 1);
  EXPECT_LT(seen.settled_for, 1h);
}

TEST_P(Quota, AVoidTermLearnsNothing) {
  const Term term = planner(100'000);
  EXPECT_FALSE(learn(Term{4711}, RoomRefused{10, 5'000}));
  EXPECT_FALSE(wait(store.learn(term, "no-such", RoomRefused{10, 5'000})));
  EXPECT_EQ(room().believed, 100'000);
}

TEST_P(Quota, TheLedgerFollowsTheBelief) {
  const Term term = planner(100'000);
  const Shard first = step(term, uploaded(term, 1, 20'000), Intended{});
  learn(term, RoomTold{{}, 30'000});
  EXPECT_EQ(room().believed, 30'000);
  EXPECT_EQ(room().told, 30'000);
  const Shard second = uploaded(term, 1, 10'001);
  EXPECT_EQ(save(term, second, Intended{}), SaveResult::no_room);
  EXPECT_EQ(save(term, uploaded(term, 1, 10'000), Intended{}), SaveResult::saved);
  EXPECT_EQ(reserved(), 30'000);
}

TEST_P(Quota, WhatIsLargerThanTheBeliefMayBeTriedAlone) {
  const Term term = planner(100'000);
  learn(term, RoomTold{{}, 30'000});
  const Shard large = uploaded(term, 1, 90'000);
  const Shard small = step(term, uploaded(term, 1, 10), Intended{});
  EXPECT_EQ(save(term, large, Intended{}), SaveResult::no_room);
  step(term, small, Fenced{});
  EXPECT_EQ(save(term, large, Intended{}), SaveResult::saved);
}

TEST_P(Quota, AFileOfSeveralRequestsThatIsTooLargeIsUnwanted) {
  const Term term = planner(100'000);
  const Shard several = uploaded(term, 2, 40'000);
  const Shard one = uploaded(term, 1, 40'000);
  const Shard announced = step(term, uploaded(term, 1, 10), Intended{});
  EXPECT_FALSE(leased(term, several.id, ShardState::uploaded).unwanted);
  learn(term, RoomTold{{}, 30'000});
  EXPECT_TRUE(leased(term, several.id, ShardState::uploaded).unwanted);
  EXPECT_FALSE(leased(term, one.id, ShardState::uploaded).unwanted) << "it cannot become smaller";
  EXPECT_EQ(offered(term), (std::vector<ShardId>{several.id, announced.id})) << "the first is to be given up, room or not";
}

TEST_P(Quota, IsForgottenWhenAnotherLimitIsConfigured) {
  const Term term = planner(100'000);
  learn(term, RoomTold{{}, 30'000});
  wait(store.publish(term, {{"dep", "prov", "m", 100'000}}));
  EXPECT_EQ(room().believed, 30'000);
  wait(store.publish(term, {{"dep", "prov", "m", 200'000}}));
  EXPECT_EQ(room().believed, 200'000);
  EXPECT_EQ(room().told, std::nullopt);
  wait(store.publish(term, {{"dep", "prov", "m", 200'000, 300'000}}));
  EXPECT_EQ(room().dynamic_limit, 300'000);
}

TEST_P(Quota, EndedBatchesCountForTheReleaseLag) {
  const Term term = planner(100'000);
  end(term, submitted(term, 1, 10'000));
  const Shard shard = step(term, uploaded(term, 1, 10'000), Intended{});
  EXPECT_EQ(wait(store.deployments()).at(0).leaving, 0) << "nobody knew";
  refused(term, shard);
  const Room lagging = room();
  EXPECT_EQ(lagging.believed, 100'000);
  EXPECT_GE(lagging.release_lag, 1s);
  ASSERT_TRUE(lagging.since_end);
  EXPECT_LT(*lagging.since_end, 10s);

  const Shard large = submitted(term, 1, 95'000);
  const Shard next = uploaded(term, 1, 6'000);
  end(term, large);
  EXPECT_EQ(reserved(), 0);
  EXPECT_EQ(wait(store.deployments()).at(0).leaving, 95'000);
  EXPECT_EQ(save(term, next, Intended{}), SaveResult::no_room);
  harness->pass(11min);
  wait(store.heartbeat(term));
  EXPECT_EQ(wait(store.deployments()).at(0).leaving, 0);
  EXPECT_EQ(save(term, next, Intended{}), SaveResult::saved);
}

TEST_P(Quota, OnlyWhatFitsIsLeased) {
  const Term term = planner(25);
  const Shard a = uploaded(term);
  const Shard b = uploaded(term);
  const Shard c = uploaded(term);
  step(term, a, Intended{});
  const Shard announced = step(term, b, Intended{});
  EXPECT_EQ(offered(term), (std::vector<ShardId>{a.id, b.id})) << "what is announced wants an answer";
  step(term, announced, Fenced{});
  EXPECT_EQ(offered(term), (std::vector<ShardId>{a.id, c.id}));
}

TEST_P(Quota, OneThatWasPassedForATurnaroundIsPassedNoMore) {
  const Term term = planner(100);
  const Shard full = submitted(term, 1, 60);
  const Shard large = uploaded(term, 1, 50);
  const Shard small = uploaded(term, 1, 10);
  const Shard later = uploaded(term, 1, 10);
  EXPECT_EQ(offered(term), (std::vector<ShardId>{small.id, later.id})) << "it has no room yet";
  const Shard passing = step(term, step(term, small, Intended{}), Created{batch_of(small)});
  EXPECT_EQ(offered(term), std::vector<ShardId>{later.id}) << "for a while it may be passed";
  harness->pass(61min);
  wait(store.heartbeat(term));
  EXPECT_THAT(offered(term), IsEmpty());
  Prompt first;
  first.priority = 5;
  enqueue(1, first);
  const Shard urgent = step(term, planned(term, 1), Uploaded{FileId{"urgent"}, 1000, 10});
  EXPECT_EQ(offered(term), std::vector<ShardId>{urgent.id}) << "what goes before it goes";
  step(term, urgent, GivenUp{});
  end(term, full);
  EXPECT_EQ(offered(term).front(), large.id) << "its room, and nobody else's";
  step(term, large, Intended{});
  end(term, passing);
}

TEST_P(Quota, ABatchThatEndsTellsHowLongTheyTake) {
  const Term term = planner(100);
  const Shard first = submitted(term, 1, 10);
  harness->pass(2s);
  wait(store.heartbeat(term));
  end(term, first);  // two seconds, from now on
  const Shard full = submitted(term, 1, 60);
  const Shard large = uploaded(term, 1, 50);
  const Shard small = uploaded(term, 1, 10);
  const Shard later = uploaded(term, 1, 10);
  step(term, small, Intended{});
  harness->pass(1min);
  wait(store.heartbeat(term));
  const auto ids = offered(term);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), later.id), 0) << "a minute is longer than batches take here";
  end(term, full);
  EXPECT_EQ(leased(term, large.id, ShardState::uploaded).id, large.id);
}

TEST_P(Quota, QuietTimeRaisesTheBelief) {
  const Term term = planner(100'000);
  step(term, uploaded(term, 1, 40'000), Intended{});
  refused(term, step(term, uploaded(term, 1, 8'000), Intended{}));
  EXPECT_EQ(room().believed, 75'000);
  learn(term, RoomQuiet{1min});
  EXPECT_EQ(room().believed, 75'000) << "not yet";
  harness->pass(5min);
  wait(store.heartbeat(term));
  learn(term, RoomQuiet{1min});
  EXPECT_GT(room().believed, 75'000);
}

}  // namespace
}  // namespace batchd::conformance
