// Pauses that batchd itself makes, and what ends them.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Pauses : public StoreConformance {
 protected:
  void pause(Term term, Milliseconds duration, Milliseconds longest = 0ms, const std::string& reason = "account") {
    wait(store.pause_deployment(term, "dep", reason, duration, longest));
  }
  bool paused() { return wait(store.deployments()).at(0).paused; }
  /// Paused for as long as that, and no longer; nothing is paused afterwards.
  void expect_paused_for(Milliseconds duration) {
    harness->pass(duration - 5s);
    EXPECT_TRUE(paused());
    harness->pass(6s);
    EXPECT_FALSE(paused()) << "paused for longer than " << duration.count() << " ms";
  }
};
CONFORMANCE_SUITE(Pauses);

TEST_P(Pauses, StopNewSubmissionsForAWhile) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  pause(term, 1min, 0ms, "quota");
  EXPECT_EQ(wait(store.deployments()).at(0).pause_reason, "quota");
  EXPECT_EQ(save(term, shard, Intended{}), SaveResult::no_room);
  wait(store.pause_deployment(term, "another", "quota", 1min, 0ms));
  expect_paused_for(1min);
  EXPECT_EQ(wait(store.deployments()).at(0).pause_reason, "");
  EXPECT_EQ(save(term, shard, Intended{}), SaveResult::saved);
}

TEST_P(Pauses, UntilResumedWhenNoTimeIsSaid) {
  const Term term = planner();
  pause(term, 0ms, 0ms, "unauthorized");
  harness->pass(24h * 365);
  EXPECT_TRUE(paused());
  EXPECT_TRUE(harness->resume("deployment:dep"));
  EXPECT_FALSE(paused());
  EXPECT_FALSE(harness->resume("deployment:dep"));
}

TEST_P(Pauses, OneUnderWayStaysAsItIs) {
  const Term term = planner();
  pause(term, 1min);
  harness->pass(30s);
  pause(term, 10min, 10min, "quota");
  EXPECT_EQ(wait(store.deployments()).at(0).pause_reason, "account");
  expect_paused_for(30s);
}

TEST_P(Pauses, ButOneWithoutAnEndReplacesIt) {
  const Term term = planner();
  pause(term, 1min);
  pause(term, 0ms, 0ms, "unauthorized");
  EXPECT_EQ(wait(store.deployments()).at(0).pause_reason, "unauthorized");
  harness->pass(1h);
  EXPECT_TRUE(paused());
}

TEST_P(Pauses, OneThatFollowsSoonLastsTwiceAsLongUpToABound) {
  const Term term = planner();
  pause(term, 1min, 5min);
  expect_paused_for(1min);
  pause(term, 1min, 5min);
  expect_paused_for(2min);
  pause(term, 1min, 5min);
  expect_paused_for(4min);
  pause(term, 1min, 5min);
  expect_paused_for(5min);
  harness->pass(9min);
  pause(term, 1min, 5min);
  expect_paused_for(5min);
  harness->pass(11min);
  pause(term, 1min, 5min);
  expect_paused_for(1min);
}

TEST_P(Pauses, ABoundBelowTheTimeAskedForIsNone) {
  const Term term = planner();
  pause(term, 2min, 1min);
  expect_paused_for(2min);
  pause(term, 2min, 1min);
  expect_paused_for(2min);
}

TEST_P(Pauses, OfAVoidTermAreNone) {
  planner();
  pause(Term{42}, 1min);
  pause(Term{42}, 0ms);
  EXPECT_FALSE(paused());
}

TEST_P(Pauses, APersonsComesFirst) {
  const Term term = planner();
  pause(term, 1min, 0ms, "quota");
  harness->pause("deployment:dep");
  EXPECT_EQ(wait(store.deployments()).at(0).pause_reason, "asked");
  EXPECT_TRUE(harness->resume("deployment:dep"));
  EXPECT_FALSE(paused()) << "a person's word ends both";
  pause(term, 1min);
  EXPECT_TRUE(harness->resume("all"));
  EXPECT_FALSE(paused());
}

// Another credential -------------------------------------------------------------------------------------------------

class Accounts : public Pauses {};
CONFORMANCE_SUITE(Accounts);

TEST_P(Accounts, AnotherCredentialMakesDueWhatWaitedForIt) {
  const Term term = planner();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(save(term, uploaded(term), Delayed{1h, "{}"}, false), SaveResult::saved);
  EXPECT_THAT(wait(store.retry_account("prov")), IsEmpty()) << "what waits for other reasons goes on waiting";
  EXPECT_THAT(wait(store.lease(term, ShardState::uploaded, 2, {})), IsEmpty());
  pause(term, 1h);
  EXPECT_THAT(wait(store.retry_account("other")), IsEmpty());
  EXPECT_TRUE(paused());
  EXPECT_THAT(wait(store.retry_account("prov")), ElementsAre("dep"));
  EXPECT_FALSE(paused());
  EXPECT_THAT(wait(store.lease(term, ShardState::uploaded, 2, {})), SizeIs(2));
}

TEST_P(Accounts, EvenIfThePauseIsJustOver) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  pause(term, 1min);
  harness->pass(2min);
  EXPECT_EQ(save(term, shard, Delayed{1h, "{}"}, false), SaveResult::saved);
  EXPECT_THAT(wait(store.retry_account("prov")), ElementsAre("dep"));
  EXPECT_THAT(wait(store.lease(term, ShardState::uploaded, 2, {})), SizeIs(1));
  EXPECT_THAT(wait(store.retry_account("prov")), IsEmpty()) << "told once";
}

TEST_P(Accounts, WhatWaitsWithoutAFailureGoesOnWaiting) {
  const Term term = planner();
  const Shard shard = step(term, uploaded(term), Intended{});
  EXPECT_EQ(save(term, shard, NotFoundInList{1h}, false), SaveResult::saved);
  pause(term, 1min);
  wait(store.retry_account("prov"));
  EXPECT_THAT(wait(store.lease(term, ShardState::uploaded, 2, {})), IsEmpty());
}

TEST_P(Accounts, OtherPausesStay) {
  const Term term = planner();
  pause(term, 1h, 0ms, "quota");
  EXPECT_THAT(wait(store.retry_account("prov")), IsEmpty());
  EXPECT_TRUE(paused());
  harness->pause("deployment:dep");
  wait(store.retry_account("prov"));
  EXPECT_TRUE(paused());
}

}  // namespace
}  // namespace batchd::conformance
