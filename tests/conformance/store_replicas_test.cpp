// Replicas, their terms, their roles, and what they are configured to do.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Replicas : public StoreConformance {};
CONFORMANCE_SUITE(Replicas);

TEST_P(Replicas, EachLifeHasATermOfItsOwn) {
  const Term first = join();
  EXPECT_GT(first.value, 0);
  EXPECT_NE(join(), first);
  EXPECT_THAT(harness->picture().replicas, SizeIs(2));
}

TEST_P(Replicas, AHeartbeatLastsUntilItIsBuried) {
  const Term term = join();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  harness->pass(9s);
  EXPECT_EQ(harness->bury_dead(ttl).replicas, 0);
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  harness->pass(9s);
  EXPECT_EQ(harness->bury_dead(ttl).replicas, 0) << "renewed";
  harness->pass(2s);
  EXPECT_EQ(harness->bury_dead(ttl).replicas, 1);
  EXPECT_EQ(harness->bury_dead(ttl).replicas, 0);
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::buried);
  EXPECT_EQ(wait(store.heartbeat(Term{4711})), Standing::buried) << "nobody ever had that one";
}

TEST_P(Replicas, ARoleHasOneHolder) {
  const Term a = join();
  const Term b = join();
  EXPECT_TRUE(wait(store.hold_role(a, "sweep")));
  EXPECT_TRUE(wait(store.hold_role(a, "sweep"))) << "already";
  EXPECT_FALSE(wait(store.hold_role(b, "sweep")));
  EXPECT_TRUE(wait(store.hold_role(b, "plan"))) << "each role by itself";
  wait(store.drop_role(b, "sweep"));
  EXPECT_FALSE(wait(store.hold_role(b, "sweep"))) << "nobody drops another's";
  wait(store.drop_role(a, "sweep"));
  EXPECT_TRUE(wait(store.hold_role(b, "sweep")));
  EXPECT_FALSE(wait(store.hold_role(Term{42}, "other"))) << "a term that nobody has cannot hold anything";
  bury(b);
  EXPECT_FALSE(wait(store.hold_role(b, "sweep"))) << "nor can one that is void, though its name is still on it";
  EXPECT_TRUE(wait(store.hold_role(a, "sweep"))) << "the dead hold nothing";
}

TEST_P(Replicas, LeavingGivesEverythingBack) {
  const Term a = planner();
  const Term b = join();
  uploaded(a);
  uploaded(a);
  EXPECT_THAT(wait(store.lease(b, ShardState::uploaded, 10, {})), IsEmpty());
  wait(store.leave(a));
  EXPECT_THAT(wait(store.lease(b, ShardState::uploaded, 10, {})), SizeIs(2));
  EXPECT_TRUE(wait(store.hold_role(b, "plan")));
  EXPECT_EQ(wait(store.heartbeat(a)), Standing::buried);
  wait(store.leave(a));
  EXPECT_THAT(harness->picture().replicas, SizeIs(1)) << "twice is as good as once";
}

TEST_P(Replicas, WhatTheDeadHeldIsFreeAtOnce) {
  const Term dead = planner();
  const Shard shard = uploaded(dead);
  const Term heir = join();
  bury(dead);
  EXPECT_TRUE(wait(store.hold_role(heir, "plan")));
  const auto adopted = wait(store.lease(heir, ShardState::uploaded, 10, {}));
  ASSERT_THAT(adopted, SizeIs(1));
  EXPECT_EQ(adopted[0].id, shard.id);
  EXPECT_EQ(adopted[0].lease, heir);
}

TEST_P(Replicas, TheInstanceHasOneNameForAll) {
  const std::string id = wait(store.instance_id());
  EXPECT_FALSE(id.empty());
  EXPECT_EQ(wait(harness->store(1).instance_id()), id);
}

TEST_P(Replicas, TheNewestConfigurationIsThatOfTheLastToPublish) {
  const Term term = join();
  EXPECT_TRUE(wait(store.publish(term, {{"a", "p1", "m1", 100}, {"b", "p2", "m2", 200}})));
  auto loads = wait(store.deployments());
  ASSERT_THAT(loads, SizeIs(2));
  EXPECT_EQ(loads[0].name, "a");
  EXPECT_EQ(loads[0].provider, "p1");
  EXPECT_EQ(loads[0].model, "m1");
  EXPECT_EQ(loads[0].limit, 100);
  EXPECT_TRUE(wait(store.publish(join(), {{"b", "p2", "m2", 300}})));
  loads = wait(store.deployments());
  ASSERT_THAT(loads, SizeIs(1));
  EXPECT_EQ(loads[0].name, "b");
  EXPECT_EQ(loads[0].limit, 300);
  EXPECT_THAT(harness->picture().deployments, SizeIs(2)) << "what is no longer named is remembered";
}

TEST_P(Replicas, ADeploymentNotNamedAnyMoreKeepsItsShards) {
  const Term term = planner();
  const Shard shard = submitted(term);
  const Shard waiting = uploaded(term);
  EXPECT_TRUE(wait(store.publish(term, {{"other", "prov", "m", 1000}})));
  EXPECT_EQ(reserved(), 10);
  EXPECT_THAT(wait(store.live_batches("prov")), SizeIs(1));
  EXPECT_EQ(save(term, waiting, Intended{}), SaveResult::no_room) << "nothing new goes there";
  enqueue(1);
  EXPECT_FALSE(plan(term));
  EXPECT_EQ(save(term, shard, Ended{batch_of(shard, BatchStatus::completed)}), SaveResult::saved);
  EXPECT_EQ(reserved(), 0);
  EXPECT_TRUE(wait(store.publish(term, {{"dep", "prov", "m", 1000}})));
  EXPECT_EQ(save(term, waiting, Intended{}), SaveResult::saved) << "named again, as if nothing had been";
}

TEST_P(Replicas, AVoidTermPublishesNothing) {
  const Term term = planner();
  bury(term);
  EXPECT_FALSE(wait(store.publish(term, {{"other", "prov", "m", 1000}})));
  const auto loads = wait(store.deployments());
  ASSERT_THAT(loads, SizeIs(1));
  EXPECT_EQ(loads[0].name, "dep");
}

}  // namespace
}  // namespace batchd::conformance
