// What the conformance suite cannot see of the fake database: backups and restores, the server's clock, check(), and that each
// guard which a mutant removes is there without it.
#include "simulation/store/fake_database.hpp"
#include "simulation/mutants.hpp"

#include <gtest/gtest.h>

namespace batchd::simulation {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const Lane lane{"m", "/v1/chat/completions"};

class FakeDatabaseTest : public ::testing::Test {
 protected:
  ~FakeDatabaseTest() override { chosen_mutant = Mutant::none; }

  Term planner(Tokens limit = 1'000'000) {
    const Term term = db.join({"host", 1, "test", {}});
    db.publish(term, {{"dep", "prov", "m", limit}});
    EXPECT_TRUE(db.hold_role(term, "plan"));
    return term;
  }
  std::vector<RequestId> insert(int count, const std::string& job = "default") {
    NewRequest request;
    request.model = "m";
    request.job = job;
    return db.enqueue(std::vector<NewRequest>(static_cast<std::size_t>(count), request));
  }
  PlanOrder order() {
    PlanOrder order{lane, {}, "dep", 100'000, 1'000'000'000, 100, 0.5};
    for (const Flow& flow : db.backlog()) order.flows.push_back(flow.id);
    return order;
  }
  std::optional<Shard> planned(Term term, int requests = 2) {
    insert(requests);
    const auto made = db.plan(term, order());
    if (!made) return std::nullopt;
    return db.lease_one(term, made->id, ShardState::planned);
  }
  Shard step(Term term, const Shard& before, const ShardEvent& event) {
    const Shard after = apply(before, event);
    EXPECT_EQ(db.save(term, before, after, true).result, SaveResult::saved);
    return after;
  }
  Shard uploaded(Term term, Tokens tokens = 10) {
    const auto shard = planned(term);
    return step(term, shard.value(), Uploaded{FileId{"file"}, 1000, tokens});
  }
  static Batch batch(BatchStatus status = BatchStatus::in_progress) {
    Batch batch;
    batch.id = BatchId{"batch"};
    batch.status = status;
    return batch;
  }
  Shard finished(Term term) {
    Shard shard = step(term, uploaded(term), Intended{});
    shard = step(term, shard, Created{batch()});
    return step(term, shard, Ended{batch(BatchStatus::completed)});
  }
  static SettleChunk answer_all(ShardContents& contents, std::size_t from = 0, std::size_t count = 1000) {
    SettleChunk chunk;
    for (std::size_t rank = from; rank < std::min(from + count, contents.members.size()); ++rank) {
      Settlement settlement;
      settlement.request = contents.members.at(rank);
      settlement.outcome = Outcome::succeeded;
      settlement.response = "{}";
      contents.decided.set(rank);
      chunk.settled.push_back(std::move(settlement));
    }
    return chunk;
  }
  void match_all(Term term) {
    for (const Unmatched& provider : db.unmatched()) db.matched(term, provider);
  }

  Milliseconds time = hours{1};
  Dice dice{7};
  FakeDatabase db{[this] { return time; }, dice};
};

TEST_F(FakeDatabaseTest, ARestoreForgetsWhatCameAfterTheBackup) {
  const Term term = planner();
  insert(2);
  const FakeDatabase backup = db;
  const auto lost = insert(3);
  EXPECT_EQ(db.requests().size(), 5U);
  db = backup;
  EXPECT_EQ(db.requests().size(), 2U);
  EXPECT_EQ(db.check(), "");
  EXPECT_EQ(insert(1).front(), lost.front()) << "a restored sequence gives out the same numbers again";
  EXPECT_NE(db.join({"host", 1, "test", {}}), term) << "terms never repeat";
  EXPECT_EQ(db.restores(), 1);
}

TEST_F(FakeDatabaseTest, TermsAreNotRepeatedAfterARestore) {
  const FakeDatabase backup = db;
  const Term before = db.join({"host", 1, "test", {}});
  db = backup;
  EXPECT_NE(db.join({"host", 1, "test", {}}), before);
}

TEST_F(FakeDatabaseTest, ATermOfAPastThatIsLostIsNoticedInItsOwnInstanceOnly) {
  planner();
  const FakeDatabase backup = db;
  const Term next = db.join({"host", 1, "test", {}});
  const std::string instance = db.instance_id();
  db = backup;
  EXPECT_EQ(db.heartbeat(next, 0, "another").standing, Standing::buried);
  EXPECT_EQ(db.heartbeat(next, 0, instance).standing, Standing::rewound);
  EXPECT_EQ(db.heartbeat(next, 0, instance).standing, Standing::buried);

  const Term last = db.join({"host", 1, "test", {}});
  time += seconds{60};
  db.adopt_as_new_instance(seconds{10});
  EXPECT_EQ(db.heartbeat(last, 0, instance).standing, Standing::buried);
  EXPECT_EQ(db.heartbeat(last, 0, db.instance_id()).standing, Standing::buried) << "its end is known";
  EXPECT_TRUE(db.unmatched().empty());
}

TEST_F(FakeDatabaseTest, APromotionIsNoticedByWhoeverBeats) {
  const Term term = planner();
  EXPECT_EQ(db.heartbeat(term).standing, Standing::alive);
  db.begin_timeline();
  EXPECT_FALSE(planned(term)) << "nothing is planned in another history";
  EXPECT_EQ(db.heartbeat(term, 1).standing, Standing::rewound);
  ASSERT_EQ(db.unmatched().size(), 1U);
  EXPECT_TRUE(db.unmatched().front().rewound);
}

TEST_F(FakeDatabaseTest, AClockThatWasSetBackMovesWhatWaitsAlong) {
  const Term term = planner();
  Shard shard = uploaded(term);
  db.bury_dead(seconds{10});
  Shard after = shard;
  after.due_in = seconds{5};
  ASSERT_EQ(db.save(term, shard, after).result, SaveResult::saved);
  db.step_clock(-hours{2});
  EXPECT_TRUE(db.lease(term, ShardState::uploaded, 10, {}).empty());
  time += seconds{1};
  const Burial burial = db.bury_dead(seconds{10}, seconds{1});
  EXPECT_NEAR(static_cast<double>(burial.clock_step.count()), -7'200'000.0, 2.0);
  EXPECT_EQ(burial.replicas, 0);
  time += seconds{5};
  EXPECT_EQ(db.lease(term, ShardState::uploaded, 10, {}).size(), 1U);
}

TEST_F(FakeDatabaseTest, AClockThatWasSetForwardBuriesNobody) {
  planner();
  db.bury_dead(seconds{10});
  db.step_clock(hours{2});
  time += seconds{1};
  EXPECT_EQ(db.bury_dead(seconds{10}, seconds{1}).replicas, 0);
  time += seconds{11};
  EXPECT_EQ(db.bury_dead(seconds{10}, seconds{11}).replicas, 1);
}

TEST_F(FakeDatabaseTest, EveryWayThroughLeavesTheDataWhole) {
  const Term term = planner();
  const Shard shard = finished(term);
  EXPECT_EQ(db.check(), "");
  ShardContents contents = db.contents(shard.id);
  SettleChunk chunk = answer_all(contents, 0, 1);
  contents.decided.set(1);
  chunk.returned.push_back({contents.members.at(1), 1, seconds{1}, R"({"code":"x"})"});
  ASSERT_TRUE(db.settle(term, shard.id, contents, chunk));
  EXPECT_EQ(db.check(), "");
  const Shard merged = step(term, shard, Merged{});
  step(term, merged, Closed{});
  EXPECT_EQ(db.check(), "");
  EXPECT_EQ(db.unsettled(), 1);
  time += seconds{2};
  const auto again = db.plan(term, order());
  ASSERT_TRUE(again);
  EXPECT_EQ(db.request(RequestId{2})->state, RequestView::State::in_flight);
  EXPECT_EQ(db.request(RequestId{2})->attempts, 1);
  db.cancel_request(RequestId{2});
  EXPECT_EQ(db.place_wishes(10), 1);
  EXPECT_EQ(db.lease_one(term, again->id, ShardState::planned)->unwanted, true);
  EXPECT_EQ(db.check(), "");
  EXPECT_TRUE(db.violations().empty());
}

TEST_F(FakeDatabaseTest, WhatTheSchemaForbidsIsAViolation) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  Shard after = shard;
  after.state = ShardState::submitted;  // without a batch
  EXPECT_THROW(db.save(term, shard, after), ConstraintViolated);
  EXPECT_EQ(db.violations().size(), 1U);
  EXPECT_EQ(db.check(), "");
}

// Mutants: what is refused without them and passes with them --------------------------------------------------------------

TEST_F(FakeDatabaseTest, MutantTermCheckLetsTheDeadWrite) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  time += minutes{1};
  ASSERT_EQ(db.bury_dead(seconds{10}).replicas, 1);
  EXPECT_EQ(db.save(term, shard, apply(shard, GivenUp{})).result, SaveResult::lost);
  chosen_mutant = Mutant::term_check;
  EXPECT_EQ(db.save(term, shard, apply(shard, GivenUp{})).result, SaveResult::saved);
}

TEST_F(FakeDatabaseTest, MutantGuardedReservationOverfills) {
  const Term term = planner(15);
  const Shard shard = uploaded(term, 20);
  EXPECT_EQ(db.save(term, shard, apply(shard, Intended{})).result, SaveResult::no_room);
  chosen_mutant = Mutant::guarded_reservation;
  EXPECT_EQ(db.save(term, shard, apply(shard, Intended{})).result, SaveResult::saved);
}

TEST_F(FakeDatabaseTest, MutantPlanGatePlansAtAnUnmatchedProvider) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  db.distrust();
  EXPECT_FALSE(planned(term));
  EXPECT_EQ(db.save(term, shard, apply(shard, Intended{})).result, SaveResult::no_room);
  EXPECT_EQ(db.deployments().front().pause_reason, "unmatched");
  chosen_mutant = Mutant::plan_gate;
  EXPECT_TRUE(planned(term));
  EXPECT_EQ(db.save(term, shard, apply(shard, Intended{})).result, SaveResult::saved);
  EXPECT_FALSE(db.deployments().front().paused);
}

TEST_F(FakeDatabaseTest, MutantBeatsCheckTakesAForgetfulDatabaseForItself) {
  const Term term = planner();
  EXPECT_EQ(db.heartbeat(term, 0).beats, 1);
  chosen_mutant = Mutant::beats_check;
  EXPECT_EQ(db.heartbeat(term, 5).standing, Standing::alive);
  EXPECT_EQ(db.heartbeat(Term{4711}, 0, db.instance_id()).standing, Standing::buried);
  chosen_mutant = Mutant::none;
  EXPECT_EQ(db.heartbeat(term, 5).standing, Standing::rewound);
  EXPECT_EQ(db.heartbeat(Term{4711}, 0, db.instance_id()).standing, Standing::rewound);
}

TEST_F(FakeDatabaseTest, MutantBeatsOfWritesPlansInAForgetfulDatabase) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  insert(1);
  EXPECT_FALSE(db.plan(term, order(), 5));
  EXPECT_EQ(db.save(term, shard, apply(shard, Intended{}), true, 5).result, SaveResult::lost);
  chosen_mutant = Mutant::beats_of_writes;
  EXPECT_TRUE(db.plan(term, order(), 5));
  EXPECT_EQ(db.save(term, shard, apply(shard, Intended{}), true, 5).result, SaveResult::saved);
}

TEST_F(FakeDatabaseTest, MutantBitmapForgetsWhatIsDecided) {
  const Term term = planner();
  const Shard shard = finished(term);
  chosen_mutant = Mutant::bitmap;
  ShardContents contents = db.contents(shard.id);
  ASSERT_TRUE(db.settle(term, shard.id, contents, answer_all(contents)));
  EXPECT_NE(db.check(), "");
  ShardContents again = db.contents(shard.id);
  EXPECT_EQ(again.decided.count(), 0U);
  EXPECT_THROW(db.settle(term, shard.id, again, answer_all(again)), ConstraintViolated);
}

TEST_F(FakeDatabaseTest, MutantSettleOnceAppliesAChunkTwice) {
  const Term term = planner();
  const Shard shard = finished(term);
  ShardContents contents = db.contents(shard.id);
  const SettleChunk chunk = answer_all(contents);
  ASSERT_TRUE(db.settle(term, shard.id, contents, chunk));
  EXPECT_TRUE(db.settle(term, shard.id, contents, chunk)) << "the same again, after a COMMIT in doubt";
  chosen_mutant = Mutant::settle_once;
  EXPECT_THROW(db.settle(term, shard.id, contents, chunk), ConstraintViolated);
}

TEST_F(FakeDatabaseTest, MutantRoomWhileUnknownFreesTheRoomOfAnOpenIntent) {
  const Term term = planner();
  const Shard shard = step(term, uploaded(term), Intended{});
  EXPECT_EQ(db.ledger().at("dep").reserved, 10);
  chosen_mutant = Mutant::room_while_unknown;
  step(term, shard, NotFoundInList{});
  EXPECT_EQ(db.ledger().at("dep").reserved, 0);
}

TEST_F(FakeDatabaseTest, MutantLossGateGoesOnAfterALoss) {
  const Term term = planner();
  Stray stray;
  stray.batch = BatchId{"gone"};
  stray.shard = ShardId{900};
  ASSERT_TRUE(db.record_stray("prov", StrayKind::lost, stray));
  EXPECT_FALSE(planned(term));
  chosen_mutant = Mutant::loss_gate;
  EXPECT_TRUE(planned(term));
  chosen_mutant = Mutant::none;
  EXPECT_EQ(db.accept_loss().second, 1);
  EXPECT_TRUE(planned(term));
}

TEST_F(FakeDatabaseTest, MutantDoubtTrustsOldShards) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  chosen_mutant = Mutant::doubt;
  db.distrust();
  EXPECT_FALSE(db.lease_one(term, shard.id, ShardState::uploaded)->doubtful);
  chosen_mutant = Mutant::none;
  db.distrust();
  EXPECT_TRUE(db.lease_one(term, shard.id, ShardState::uploaded)->doubtful);
  db.accept_loss();
  EXPECT_FALSE(db.lease_one(term, shard.id, ShardState::uploaded)->doubtful);
}

TEST_F(FakeDatabaseTest, MutantOrphanGateJudgesFilesByUnmatchedBooks) {
  planner();
  db.suspect_orphans("prov");
  db.distrust();
  EXPECT_FALSE(db.orphans_due("prov"));
  EXPECT_FALSE(db.file_books("prov", {}).trusted);
  chosen_mutant = Mutant::orphan_gate;
  EXPECT_TRUE(db.orphans_due("prov"));
  EXPECT_TRUE(db.file_books("prov", {}).trusted);
}

TEST_F(FakeDatabaseTest, MutantShardNumbersGivesNumbersOutAgain) {
  const Term term = planner();
  chosen_mutant = Mutant::shard_numbers;
  db.skip_shards(ShardId{50});
  EXPECT_EQ(planned(term)->id, ShardId{1});
  chosen_mutant = Mutant::none;
  db.skip_shards(ShardId{50});
  EXPECT_EQ(planned(term)->id, ShardId{51});
}

TEST_F(FakeDatabaseTest, MutantRollUpCountsTwice) {
  insert(3);
  chosen_mutant = Mutant::roll_up;
  db.backlog();
  EXPECT_NE(db.check(), "");
}

}  // namespace
}  // namespace batchd::simulation
