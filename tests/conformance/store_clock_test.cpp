// What the database does when its own clock is set: nothing waits for the hours to come again, and nobody is taken for dead.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class DatabaseClock : public StoreConformance {
 protected:
  /// As a replica does it every few seconds.
  Burial look() {
    const auto asked = harness->now();
    const Burial burial = harness->bury_dead(ttl, last_);
    last_ = asked;
    return burial;
  }
  /// A moment later.
  void set_clock(Milliseconds by) {
    harness->pass(1s);
    harness->set_clock(by);
  }
  static void expect_near(Milliseconds measured, Milliseconds expected) {
    EXPECT_NEAR(static_cast<double>(measured.count()), static_cast<double>(expected.count()), 60'000);
  }

 private:
  std::optional<std::chrono::steady_clock::time_point> last_;
};
CONFORMANCE_SUITE(DatabaseClock);

TEST_P(DatabaseClock, NothingHappensWhileItGoesOn) {
  const Term term = join();
  for (int i = 0; i < 3; ++i) {
    const Burial burial = look();
    EXPECT_EQ(burial.replicas, 0);
    EXPECT_EQ(burial.clock_step, 0ms);
  }
  harness->pass(5s);
  EXPECT_EQ(look().clock_step, 0ms) << "time went by for all";
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
}

TEST_P(DatabaseClock, TheDeadOfAnHourThatComesAgainAreBuriedAllTheSame) {
  look();
  const Term dead = planner();
  enqueue(1);
  planned(dead);
  set_clock(-1h);
  const Burial noticed = look();
  EXPECT_EQ(noticed.replicas, 0) << "who is alive had no chance to say so yet";
  expect_near(noticed.clock_step, -1h);
  EXPECT_EQ(look().clock_step, 0ms) << "once";
  harness->pass(11s);
  EXPECT_EQ(look().replicas, 1);
  EXPECT_THAT(wait(store.lease(join(), ShardState::planned, 1, {})), SizeIs(1));
}

TEST_P(DatabaseClock, WhatWasDueIsDueAfterItWasSetBackAndWhatWasPutOffWaitsAsLongAsItWasTo) {
  look();
  const Term term = planner();
  enqueue(2);
  const Shard due = planned(term, 1);
  save(term, due, Delayed{0ms, ""}, false);
  const Shard later = planned(term, 1);
  save(term, later, Delayed{10min, ""}, false);
  wait(store.pause_deployment(term, "dep", "account", 15min, 0ms));
  enqueue(1, "waits");
  wait(store.backlog());
  set_clock(-5h);
  EXPECT_THAT(wait(store.lease(term, ShardState::planned, 5, {})), IsEmpty());
  look();
  const auto leased = wait(store.lease(term, ShardState::planned, 5, {}));
  ASSERT_THAT(leased, SizeIs(1));
  EXPECT_EQ(leased[0].id, due.id);
  EXPECT_GE(wait(store.backlog()).at(0).waiting, 0ms);
  harness->pass(7min);
  EXPECT_FALSE(row_of(later.id).due);
  harness->pass(4min);
  EXPECT_TRUE(row_of(later.id).due);
  EXPECT_TRUE(wait(store.deployments()).at(0).paused);
  harness->pass(6min);
  EXPECT_FALSE(wait(store.deployments()).at(0).paused);
}

TEST_P(DatabaseClock, AnUnknownSubmissionIsNotOlderAndNotYoungerForIt) {
  look();
  const Term term = planner();
  const Shard shard = step(term, uploaded(term), Intended{});
  set_clock(-1h);
  look();
  const Shard again = leased(term, shard.id, ShardState::uploaded);
  EXPECT_GE(again.intent_age, 0ms);
  EXPECT_LT(again.intent_age, 60s);
}

TEST_P(DatabaseClock, ReturnedRequestsDoNotWaitForTheHourToPassAgain) {
  look();
  const Term term = planner();
  const Shard shard = finished(term, 1);
  ShardContents contents = wait(store.contents(shard.id));
  EXPECT_TRUE(settle(term, shard, contents, {{}, {returned(contents.members.at(0))}}));
  set_clock(-1h);
  EXPECT_THAT(wait(store.backlog()), IsEmpty());
  look();
  EXPECT_THAT(wait(store.backlog()), SizeIs(1));
}

TEST_P(DatabaseClock, NobodyIsTakenForDeadBecauseItWasSetForward) {
  const Term quiet = join();
  look();
  set_clock(1h);
  const Burial burial = look();
  EXPECT_EQ(burial.replicas, 0);
  expect_near(burial.clock_step, 1h);
  EXPECT_EQ(wait(store.heartbeat(quiet)), Standing::alive);
  harness->pass(11s);
  EXPECT_EQ(look().replicas, 1) << "the dead are found a ttl later";
}

TEST_P(DatabaseClock, ATimeInWhichNobodyLookedIsNoStep) {
  join();
  look();
  set_clock(1h);
  const Burial first = harness->bury_dead(ttl);
  EXPECT_EQ(first.clock_step, 0ms);
  EXPECT_EQ(first.replicas, 1);
  join();
  set_clock(1h);
  const Burial paused = harness->bury_dead(ttl, harness->now() - 2h);
  EXPECT_EQ(paused.clock_step, 0ms);
  EXPECT_EQ(paused.replicas, 1);
}

}  // namespace
}  // namespace batchd::conformance
