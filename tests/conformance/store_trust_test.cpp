// A database that has gone back in time is noticed, and nothing new happens before the providers' lists are compared with it.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Trust : public StoreConformance {
 protected:
  Term started_replica() {
    const Term term = join({"prov"});
    wait(store.publish(term, {{"dep", "prov", "m", 1'000'000}}));
    wait(store.hold_role(term, "plan"));
    return term;
  }
  Term matched_replica() {
    const Term term = started_replica();
    match_all(term);
    return term;
  }
  SaveResult announce(Term term, const Shard& uploaded) { return save(term, uploaded, Intended{}); }
};
CONFORMANCE_SUITE(Trust);

TEST_P(Trust, AStartAsksForTheListsAndUntilThenNothingIsPlannedOrAnnounced) {
  const Term first = matched_replica();
  const Shard shard = uploaded(first, 2);
  enqueue(2);

  const Term second = join({"prov"});
  const auto unmatched = wait(store.unmatched());
  ASSERT_THAT(unmatched, SizeIs(1));
  EXPECT_EQ(unmatched[0].provider, "prov");
  EXPECT_FALSE(unmatched[0].rewound);
  EXPECT_EQ(announce(first, shard), SaveResult::no_room);
  EXPECT_FALSE(plan(first));
  const auto loads = wait(store.deployments());
  EXPECT_TRUE(loads.at(0).paused);
  EXPECT_EQ(loads.at(0).pause_reason, "unmatched");

  match_all(second);
  EXPECT_THAT(wait(store.unmatched()), IsEmpty());
  EXPECT_EQ(announce(first, shard), SaveResult::saved);
  EXPECT_TRUE(plan(first));
}

TEST_P(Trust, WhatNeedsNoRoomGoesOnMeanwhile) {
  const Term term = matched_replica();
  const Shard running = submitted(term);
  const Shard waiting = uploaded(term);
  join({"prov"});
  EXPECT_EQ(save(term, running, Ended{batch_of(running, BatchStatus::completed)}), SaveResult::saved);
  EXPECT_EQ(save(term, waiting, GivenUp{}), SaveResult::saved);
  EXPECT_EQ(reserved(), 0);
}

TEST_P(Trust, OnlyItsOwnProvidersAreAskedAbout) {
  const Term term = matched_replica();
  join({"other", "third"});
  EXPECT_THAT(harness->picture().unmatched, ElementsAre("other start", "third start"));
  const Shard shard = uploaded(term);
  EXPECT_EQ(announce(term, shard), SaveResult::saved);
}

TEST_P(Trust, AListThatWasReadBeforeTheLatestDoubtSettlesNothing) {
  const Term term = started_replica();
  const auto before = wait(store.unmatched());
  join({"prov"});
  wait(store.matched(term, before.at(0)));
  EXPECT_THAT(wait(store.unmatched()), SizeIs(1));
  match_all(Term{4711});
  EXPECT_THAT(wait(store.unmatched()), SizeIs(1)) << "a void term matches nothing";
  match_all(term);
  EXPECT_THAT(wait(store.unmatched()), IsEmpty());
}

TEST_P(Trust, AHeartbeatNoticesThatItsOwnBeatsAreForgotten) {
  const Term term = matched_replica();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  harness->backup();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  harness->restore();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
  EXPECT_THAT(harness->picture().unmatched, ElementsAre("prov rewound"));
  EXPECT_THAT(harness->picture().replicas, IsEmpty()) << "what it holds in memory is of another past";
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::buried) << "the term is over";
  const Term next = join({"prov"});
  EXPECT_TRUE(wait(store.unmatched()).at(0).rewound) << "a start takes nothing back";
  EXPECT_EQ(wait(store.heartbeat(next)), Standing::alive);
}

TEST_P(Trust, ALossThatNobodyWasToldOfIsNone) {
  const Term term = matched_replica();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  harness->backup();
  enqueue(1);
  harness->restore();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  EXPECT_THAT(harness->picture().requests, IsEmpty());
}

TEST_P(Trust, AnAnnouncementIsRefusedByADatabaseThatHasForgottenTheLastOne) {
  const Term term = matched_replica();
  const Shard first = uploaded(term, 2);
  const Shard second = uploaded(term, 2);
  enqueue(2);
  wait(store.backlog());
  harness->backup();
  EXPECT_EQ(announce(term, first), SaveResult::saved);
  harness->restore();
  EXPECT_EQ(announce(term, second), SaveResult::lost);
  EXPECT_FALSE(row_of(second.id).intent);
  EXPECT_EQ(reserved(), 0);
  EXPECT_FALSE(plan(term)) << "a shard's number could be one given out before";
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
}

TEST_P(Trust, TheShardsThatARewoundDatabaseKnowsAreDoubtful) {
  Term term = matched_replica();
  enqueue(3);
  const Shard old = planned(term, 1);
  EXPECT_FALSE(old.doubtful);
  harness->backup();
  wait(store.heartbeat(term));
  harness->restore();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
  term = matched_replica();
  EXPECT_TRUE(leased(term, old.id, ShardState::planned).doubtful);
  const auto again = wait(store.lease(term, ShardState::planned, 1, {}));
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_TRUE(again[0].doubtful);
  EXPECT_FALSE(planned(term, 1).doubtful) << "planned after the loss";
}

TEST_P(Trust, WhatAProviderListsCanProveALossToo) {
  const Term term = matched_replica();
  enqueue(1);
  const Shard shard = planned(term);
  wait(store.distrust());
  EXPECT_TRUE(wait(store.unmatched()).at(0).rewound);
  EXPECT_TRUE(leased(term, shard.id, ShardState::planned).doubtful);
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
}

TEST_P(Trust, ALossConcernsAllProvidersThatDeploymentsAreAt) {
  const Term term = join();
  wait(store.publish(term, {{"a", "p1", "m", 1}, {"b", "p2", "m", 1}}));
  wait(store.distrust());
  EXPECT_THAT(harness->picture().unmatched, ElementsAre("p1 rewound", "p2 rewound"));
}

TEST_P(Trust, ALossConcernsProvidersThatTheDatabaseHasForgottenToo) {
  wait(store.distrust());
  join({"prov", "other"});
  for (const Unmatched& one : wait(store.unmatched())) EXPECT_TRUE(one.rewound) << one.provider;
  const Term term = started_replica();
  const auto all = wait(store.unmatched());
  ASSERT_THAT(all, SizeIs(2));
  for (const Unmatched& one : all) wait(store.matched(term, one));
  join({"prov"});
  EXPECT_FALSE(wait(store.unmatched()).at(0).rewound) << "it is configured, and its list has been compared since";
}

TEST_P(Trust, WhoMayBeAnsweredIsDoubtedUntilAPersonAcceptsTheLoss) {
  const Term term = matched_replica();
  Shard shard = submitted(term);
  const Shard other = uploaded(term);
  wait(store.distrust());
  match_all(term);
  shard = leased(term, shard.id, ShardState::submitted);
  EXPECT_TRUE(shard.doubtful);
  EXPECT_EQ(save(term, shard, Delayed{1h, R"({"code":"answers_lost"})"}, false), SaveResult::saved);
  EXPECT_THAT(wait(store.lease(term, ShardState::submitted, 1, {})), IsEmpty());
  EXPECT_EQ(harness->accept_loss().shards, 1);
  const auto due = wait(store.lease(term, ShardState::submitted, 1, {}));
  ASSERT_THAT(due, SizeIs(1));
  EXPECT_FALSE(due[0].doubtful);
  EXPECT_FALSE(leased(term, other.id, ShardState::uploaded).doubtful);
  wait(store.distrust());
  EXPECT_TRUE(leased(term, other.id, ShardState::uploaded).doubtful) << "a later loss is another one";
}

TEST_P(Trust, AnnouncementsOfTheBuriedAreRefused) {
  const Term term = matched_replica();
  const Shard shard = uploaded(term);
  bury(term);
  EXPECT_EQ(announce(term, shard), SaveResult::lost);
}

TEST_P(Trust, AnotherHistoryOfTheServerStopsEverythingAtOnce) {
  const Term term = matched_replica();
  const Shard shard = uploaded(term, 2);
  enqueue(2);
  harness->promote();
  EXPECT_EQ(announce(term, shard), SaveResult::no_room);
  EXPECT_FALSE(plan(term));
  match_all(term);
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
  EXPECT_TRUE(wait(store.unmatched()).at(0).rewound);

  const Term next = started_replica();
  EXPECT_EQ(wait(store.heartbeat(next)), Standing::alive) << "the new history is known now";
  const Shard again = leased(next, shard.id, ShardState::uploaded);
  EXPECT_TRUE(again.doubtful);
  EXPECT_EQ(announce(next, again), SaveResult::no_room);
  match_all(next);
  EXPECT_EQ(announce(next, again), SaveResult::saved);
}

TEST_P(Trust, ACopyActsInNobodysNameUntilItIsAdopted) {
  const Term term = matched_replica();
  EXPECT_TRUE(wait(store.hold_role(term, "watch:prov")));
  const Shard waiting = uploaded(term);
  const Shard shard = submitted(term);
  enqueue(1);
  EXPECT_FALSE(wait(store.has_moved()));
  harness->move();
  EXPECT_TRUE(wait(store.has_moved()));
  EXPECT_EQ(announce(term, waiting), SaveResult::no_room);
  EXPECT_FALSE(wait(store.lease_one(term, waiting.id, ShardState::uploaded)));
  EXPECT_THAT(wait(store.lease(term, ShardState::uploaded, 5, {})), IsEmpty());
  EXPECT_FALSE(wait(store.record_stray("prov", StrayKind::duplicate, stray_of(batch("b"), shard.id, 1))));
  harness->adopt();
  EXPECT_FALSE(wait(store.has_moved()));
  EXPECT_THAT(harness->picture().unmatched, ElementsAre("prov rewound")) << "it is compared with the lists first";
  EXPECT_EQ(announce(term, waiting), SaveResult::no_room);
  match_all(term);
  EXPECT_EQ(announce(term, waiting), SaveResult::saved);
}

}  // namespace
}  // namespace batchd::conformance
