// What a term that is void may still change: nothing. And clocks: what the database does when its own is set.
#include "support/pg_store_fixture.hpp"

#include "core/orphan.hpp"

#include <gmock/gmock.h>

#include <chrono>

namespace batchd::testing {
namespace {

using std::chrono::steady_clock;
using ::testing::SizeIs;

class Terms : public StoreTest {
 protected:
  /// What happens to a replica that was silent for too long, while its roles and leases still bear its name.
  void bury(Term term) { sql.run("DELETE FROM batchd.replica WHERE term = " + std::to_string(term.value)); }
  /// Everything that a replica could have written.
  std::string everything() {
    return sql.value(
        "SELECT md5(concat((SELECT string_agg(s::text, '|' ORDER BY s.id) FROM batchd.shard s), "
        "(SELECT string_agg(d::text, '|' ORDER BY d.name) FROM batchd.deployment d), "
        "(SELECT string_agg(a::text, '|' ORDER BY a.request_id) FROM batchd.answer a), "
        "(SELECT string_agg(r::text, '|' ORDER BY r.name) FROM batchd.role r), "
        "(SELECT string_agg(m::text, '|' ORDER BY m.shard_id, m.ordinal) FROM batchd.shard_member m), "
        "(SELECT string_agg(p::text, '|' ORDER BY p.shard_id) FROM batchd.shard_progress p), "
        "(SELECT string_agg(o::text, '|' ORDER BY o.provider) FROM batchd.orphan_search o), "
        "(SELECT count(*) FROM batchd.queue), (SELECT count(*) FROM batchd.retry), (SELECT count(*) FROM batchd.request)))");
  }
};

TEST_F(Terms, SavesNothingOnceVoidEvenWhenNobodyHasTakenOver) {
  const Term term = planner();
  insert(2);
  const Shard shard = planned(term);
  EXPECT_EQ(shard.lease, term);
  bury(term);
  const std::string before = everything();
  EXPECT_EQ(wait(store.save(term, shard, batchd::apply(shard, Uploaded{FileId{"f"}, 100, 10}), false)), SaveResult::lost);
  EXPECT_EQ(wait(store.save(term, shard, batchd::apply(shard, GivenUp{}), false)), SaveResult::lost);
  EXPECT_EQ(everything(), before);
}

TEST_F(Terms, SettlesAndSplitsNothingOnceVoid) {
  const Term term = planner();
  insert(4);
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  bury(term);
  const std::string before = everything();
  EXPECT_FALSE(settle(term, shard, contents, {{answered(contents.members.at(0))}, {}}));
  const std::int64_t second = contents.members.at(1).value;
  contents.decided.set(1);
  EXPECT_FALSE(wait(store.split(term, shard.id, contents, {{second, second}}, false)));
  EXPECT_EQ(everything(), before);
}

TEST_F(Terms, LeasesPlansExpiresAndFailsNothingOnceVoid) {
  const Term term = planner();
  insert(2);
  const Shard shard = planned(term);
  wait(store.save(term, shard, batchd::apply(shard, Delayed{Milliseconds{0}, ""}), false));
  insert(2, "late", ", deadline", ", now() - interval '3 minutes'");
  const PlanOrder order = order_for_all();
  bury(term);
  const std::string before = everything();
  EXPECT_THAT(wait(store.lease(term, ShardState::planned, 5, {})), SizeIs(0));
  EXPECT_FALSE(wait(store.lease_one(term, shard.id, ShardState::planned)));
  EXPECT_FALSE(wait(store.plan(term, order)));
  EXPECT_EQ(wait(store.expire_overdue(term)), 0);
  EXPECT_EQ(wait(store.fail_unroutable(term, {}, Milliseconds{0})), 0);
  EXPECT_EQ(everything(), before);
}

TEST_F(Terms, PublishesPausesAndNotesNothingOnceVoid) {
  const Term term = planner();
  insert(1);
  Shard shard = step(term, planned(term), Uploaded{FileId{"f"}, 1, 1});
  shard = step(term, shard, Intended{});
  Batch batch;
  batch.id = BatchId{"b"};
  batch.status = BatchStatus::validating;
  shard = step(term, shard, Created{batch});
  auto live = wait(store.live_batches("prov"));
  live.at(0).status = BatchStatus::in_progress;
  bury(term);
  const std::string before = everything();
  EXPECT_FALSE(wait(store.publish(term, {{"other", "prov", "m", 1000}})));
  wait(store.pause_deployment(term, "dep", "account", Milliseconds{60'000}, Milliseconds{0}));
  wait(store.pause_deployment(term, "dep", "account", Milliseconds{0}, Milliseconds{0}));
  wait(store.note_status(term, live));
  EXPECT_EQ(everything(), before);
}

TEST_F(Terms, RetiresNothingOnceVoid) {
  const Term term = planner();
  insert(1);
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  EXPECT_TRUE(settle(term, shard, contents, {{answered(contents.members.at(0))}, {}}));
  step(term, step(term, shard, Merged{}), Closed{});
  bury(term);
  EXPECT_FALSE(wait(store.retire(term, Milliseconds{0})));
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard"), 1);
  EXPECT_FALSE(wait(store.retire(join(), Milliseconds{0})));
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard"), 0);
}

TEST_F(Terms, AShardInHandsIsNotLeasedAgainUnderALaterTermOfTheSameProcess) {
  const Term before = planner();
  insert(1);
  const Shard shard = planned(before);
  bury(before);
  const Term later = join();
  EXPECT_THAT(wait(store.lease(later, ShardState::planned, 5, {shard.id})), SizeIs(0));
  const auto leased = wait(store.lease(later, ShardState::planned, 5, {}));
  ASSERT_THAT(leased, SizeIs(1));
  EXPECT_EQ(leased[0].lease, later);
}

// The database's clock -----------------------------------------------------------------------------------------------

class DatabaseClock : public Terms {
 protected:
  /// As if the server's clock had been set by so much a moment ago: what is dated stays, relative to that, where it was.
  void set_clock(const std::string& by) {
    sql.run("UPDATE batchd.clock SET seen_at = seen_at - interval '" + by + "'");
    sql.run("UPDATE batchd.replica SET heartbeat_at = heartbeat_at - interval '" + by + "'");
    sql.run("UPDATE batchd.shard SET due_at = due_at - interval '" + by + "', state_at = state_at - interval '" + by +
            "', intent_at = intent_at - interval '" + by + "'");
    sql.run("UPDATE batchd.retry SET due_at = due_at - interval '" + by + "'");
    sql.run("UPDATE batchd.deployment SET paused_until = paused_until - interval '" + by + "'");
    sql.run("UPDATE batchd.flow SET waiting_since = waiting_since - interval '" + by + "'");
    sql.run("UPDATE batchd.delta SET at = at - interval '" + by + "'");
  }
  /// As a replica does it every few seconds.
  Burial look() {
    const auto asked = steady_clock::now();
    const Burial burial = wait(store.bury_dead(Milliseconds{10'000}, last_));
    last_ = asked;
    return burial;
  }
  std::optional<steady_clock::time_point> last_;
};

TEST_F(DatabaseClock, NothingHappensWhileItGoesOn) {
  const Term term = join();
  for (int i = 0; i < 3; ++i) {
    const Burial burial = look();
    EXPECT_EQ(burial.replicas, 0);
    EXPECT_EQ(burial.clock_step, Milliseconds{0});
  }
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
}

TEST_F(DatabaseClock, TheDeadOfAnHourThatComesAgainAreBuriedAllTheSame) {
  look();
  const Term dead = planner();
  insert(1);
  planned(dead);
  set_clock("-1 hour");
  const Burial noticed = look();
  EXPECT_EQ(noticed.replicas, 0) << "who is alive had no chance to say so yet";
  EXPECT_NEAR(static_cast<double>(noticed.clock_step.count()), -3'600'000, 60'000);
  EXPECT_EQ(look().clock_step, Milliseconds{0}) << "once";
  EXPECT_EQ(sql.value("SELECT max(heartbeat_at) <= clock_timestamp() FROM batchd.replica"), "t");
  sql.run("UPDATE batchd.replica SET heartbeat_at = heartbeat_at - interval '11 s'");  // a ttl passes
  EXPECT_EQ(look().replicas, 1);
  EXPECT_THAT(wait(store.lease(join(), ShardState::planned, 1, {})), SizeIs(1));
}

TEST_F(DatabaseClock, WhatWasDueIsDueAfterItWasSetBackAndWhatWasPutOffWaitsAsLongAsItWasTo) {
  look();
  const Term term = planner();
  insert(1);
  const Shard due = planned(term);
  wait(store.save(term, due, batchd::apply(due, Delayed{Milliseconds{0}, ""}), false));
  insert(1);
  const Shard later = planned(term);
  wait(store.save(term, later, batchd::apply(later, Delayed{Milliseconds{600'000}, ""}), false));
  wait(store.pause_deployment(term, "dep", "account", Milliseconds{900'000}, Milliseconds{0}));
  insert(1, "waits");
  wait(store.backlog());
  set_clock("-5 hours");
  EXPECT_THAT(wait(store.lease(term, ShardState::planned, 5, {})), SizeIs(0));
  look();
  const auto leased = wait(store.lease(term, ShardState::planned, 5, {}));
  ASSERT_THAT(leased, SizeIs(1));
  EXPECT_EQ(leased[0].id, due.id);
  EXPECT_EQ(sql.value("SELECT due_at - clock_timestamp() BETWEEN '8 min' AND '12 min' FROM batchd.shard WHERE id = " +
                      std::to_string(later.id.value)),
            "t");
  EXPECT_EQ(sql.value("SELECT paused_until - clock_timestamp() BETWEEN '13 min' AND '17 min' FROM batchd.deployment"), "t");
  EXPECT_GE(wait(store.backlog()).at(0).waiting, Milliseconds{0});
}

TEST_F(DatabaseClock, AnUnknownSubmissionIsNotOlderAndNotYoungerForIt) {
  look();
  const Term term = planner();
  insert(1);
  Shard shard = step(term, planned(term), Uploaded{FileId{"f"}, 1, 1});
  shard = step(term, shard, Intended{});
  set_clock("-1 hour");
  look();
  const Shard again = leased(term, shard.id, ShardState::uploaded);
  EXPECT_GE(again.intent_age, Milliseconds{0});
  EXPECT_LT(again.intent_age, Milliseconds{60'000});
}

TEST_F(DatabaseClock, ReturnedRequestsDoNotWaitForTheHourToPassAgain) {
  look();
  const Term term = planner();
  insert(1);
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  EXPECT_TRUE(settle(term, shard, contents, {{}, {{contents.members.at(0), 1, Milliseconds{0}, ""}}}));
  set_clock("-1 hour");
  EXPECT_THAT(wait(store.backlog()), SizeIs(0));
  look();
  EXPECT_THAT(wait(store.backlog()), SizeIs(1));
}

TEST_F(DatabaseClock, NobodyIsTakenForDeadBecauseItWasSetForward) {
  const Term quiet = join();
  look();
  set_clock("1 hour");
  const Burial burial = look();
  EXPECT_EQ(burial.replicas, 0);
  EXPECT_NEAR(static_cast<double>(burial.clock_step.count()), 3'600'000, 60'000);
  EXPECT_EQ(wait(store.heartbeat(quiet)), Standing::alive);
  sql.run("UPDATE batchd.replica SET heartbeat_at = heartbeat_at - interval '11 s'");
  EXPECT_EQ(look().replicas, 1) << "the dead are found a ttl later";
}

TEST_F(DatabaseClock, ATimeInWhichNobodyLookedIsNoStep) {
  join();
  look();
  set_clock("1 hour");
  const Burial first = wait(store.bury_dead(Milliseconds{10'000}, {}));
  EXPECT_EQ(first.clock_step, Milliseconds{0});
  EXPECT_EQ(first.replicas, 1);
  join();
  set_clock("1 hour");
  const Burial paused = wait(store.bury_dead(Milliseconds{10'000}, steady_clock::now() - std::chrono::hours(2)));
  EXPECT_EQ(paused.clock_step, Milliseconds{0});
  EXPECT_EQ(paused.replicas, 1);
}

// Files that no shard knows of ---------------------------------------------------------------------------------------

class OrphanBooks : public Terms {};

TEST_F(OrphanBooks, AreLookedIntoWhenThereIsASuspicionAndThenSeldom) {
  const Term term = join();
  EXPECT_FALSE(wait(store.orphans_due("prov")));
  wait(store.suspect_orphans("prov"));
  const auto due = wait(store.orphans_due("prov"));
  ASSERT_TRUE(due);
  EXPECT_FALSE(wait(store.orphans_due("other")));
  wait(store.orphans_swept(Term{1}, "prov", *due));
  EXPECT_TRUE(wait(store.orphans_due("prov"))) << "a void term has looked at nothing";
  wait(store.suspect_orphans("prov"));
  wait(store.orphans_swept(term, "prov", *due));
  const auto again = wait(store.orphans_due("prov"));
  ASSERT_TRUE(again) << "a suspicion that came meanwhile stays";
  wait(store.orphans_swept(term, "prov", *again));
  EXPECT_FALSE(wait(store.orphans_due("prov")));
  EXPECT_EQ(sql.value("SELECT due_at - clock_timestamp() < '5 min' FROM batchd.orphan_search"), "t")
      << "a lost upload may be late";
  sql.run("UPDATE batchd.orphan_search SET due_at = now(), suspected_at = now() - interval '1 hour'");
  wait(store.orphans_swept(term, "prov", *wait(store.orphans_due("prov"))));
  EXPECT_EQ(sql.value("SELECT due_at - clock_timestamp() BETWEEN '50 min' AND '70 min' FROM batchd.orphan_search"), "t");
}

TEST_F(OrphanBooks, AReplicasDeathIsASuspicion) {
  const Term term = join();
  wait(store.suspect_orphans("prov"));
  wait(store.orphans_swept(term, "prov", *wait(store.orphans_due("prov"))));
  join();
  sql.run("UPDATE batchd.replica SET heartbeat_at = clock_timestamp() - interval '1 h' WHERE term <> " +
          std::to_string(term.value));
  EXPECT_EQ(wait(store.bury_dead(Milliseconds{10'000}, {})).replicas, 1);
  EXPECT_TRUE(wait(store.orphans_due("prov")));
}

TEST_F(OrphanBooks, KnowWhoMayBeUploadingAndWhatWasRecorded) {
  const Term term = planner();
  insert(1);
  const Shard sending = planned(term);
  insert(1);
  const Shard sent = step(term, planned(term), Uploaded{FileId{"f-2"}, 1, 1});
  insert(1);
  Shard waiting = planned(term);
  wait(store.save(term, waiting, batchd::apply(waiting, Delayed{Milliseconds{0}, ""}), false));
  const std::vector<ShardId> all{sending.id, sent.id, waiting.id, ShardId{99}};
  FileBooks books = wait(store.file_books("prov", all));
  EXPECT_TRUE(books.trusted);
  EXPECT_THAT(books.shards, SizeIs(3));
  EXPECT_TRUE(books.shards.at(sending.id).uploading);
  EXPECT_EQ(books.shards.at(sent.id).input_file, FileId{"f-2"});
  EXPECT_FALSE(books.shards.at(sent.id).uploading);
  EXPECT_FALSE(books.shards.at(waiting.id).uploading);
  bury(term);
  books = wait(store.file_books("prov", all));
  EXPECT_FALSE(books.shards.at(sending.id).uploading) << "the dead send nothing";
}

TEST_F(OrphanBooks, KnowTheInputsOfBatchesThatExistOrMayExist) {
  const Term term = planner();
  insert(1);
  Shard shard = step(term, planned(term), Uploaded{FileId{"f-1"}, 1, 1});
  EXPECT_TRUE(wait(store.file_books("prov", {shard.id})).needed.empty());
  shard = step(term, shard, Intended{});
  EXPECT_TRUE(wait(store.file_books("prov", {shard.id})).needed.contains(FileId{"f-1"}));
  Batch batch;
  batch.id = BatchId{"b"};
  step(term, shard, Created{batch});
  EXPECT_TRUE(wait(store.file_books("prov", {shard.id})).needed.contains(FileId{"f-1"}));
  EXPECT_TRUE(wait(store.file_books("other", {shard.id})).needed.empty());
}

TEST_F(OrphanBooks, SayNothingWhileCommitsMayBeLost) {
  wait(store.suspect_orphans("prov"));
  wait(store.join({"host", 1, "test", {"prov"}}));
  EXPECT_FALSE(wait(store.orphans_due("prov")));
  EXPECT_FALSE(wait(store.file_books("prov", {ShardId{1}})).trusted);
  sql.run("DELETE FROM batchd.unmatched");
  EXPECT_TRUE(wait(store.orphans_due("prov")));
}

}  // namespace
}  // namespace batchd::testing
