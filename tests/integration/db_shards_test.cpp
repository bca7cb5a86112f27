// Replicas, roles, leases and the quota's ledger: who may write, and what happens to who may not any more.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

#include <functional>
#include <future>
#include <thread>

namespace batchd::testing {
namespace {

using ::testing::SizeIs;

class Shards : public StoreTest {
 protected:
  /// So many uploaded shards of ten tokens each, owned by nobody.
  std::vector<ShardId> uploaded(Term term, int count) {
    std::vector<ShardId> ids;
    for (int i = 0; i < count; ++i) {
      insert(1);
      const Shard shard = planned(term);
      EXPECT_EQ(wait(store.save(term, shard, batchd::apply(shard, Uploaded{FileId{"f"}, 100, 10}), false)), SaveResult::saved);
      ids.push_back(shard.id);
    }
    return ids;
  }
};

TEST_F(Shards, WhoLostItsTermWritesNothing) {
  const Term zombie = planner();
  uploaded(zombie, 1);
  const Shard shard = wait(store.lease(zombie, ShardState::uploaded, 1, {})).at(0);
  sql.run("DELETE FROM batchd.replica WHERE term = " + std::to_string(zombie.value));
  const Term heir = join();
  const Shard adopted = wait(store.lease(heir, ShardState::uploaded, 1, {})).at(0);
  EXPECT_EQ(adopted.id, shard.id);
  EXPECT_EQ(wait(store.save(zombie, shard, batchd::apply(shard, Intended{}), false)), SaveResult::lost);
  EXPECT_EQ(sql.number("SELECT reserved FROM batchd.deployment"), 0) << "the room of a lost save is given back";
  EXPECT_TRUE(wait(store.lease(zombie, ShardState::uploaded, 1, {})).empty()) << "the dead lease nothing";
  EXPECT_EQ(wait(store.save(heir, adopted, batchd::apply(adopted, Intended{}), false)), SaveResult::saved);
}

TEST_F(Shards, WhoLostItsTermWritesNothingThoughNobodyHasTakenItsPlace) {
  const Term zombie = planner();
  uploaded(zombie, 1);
  Shard shard = wait(store.lease(zombie, ShardState::uploaded, 1, {})).at(0);
  shard = step(zombie, shard, Intended{});
  Batch batch;
  batch.id = BatchId{"b"};
  const Shard submitted = step(zombie, shard, Created{batch});
  wait(store.note_status(zombie, {{submitted.id, batch.id, BatchStatus::in_progress}}));
  const Shard leased = wait(store.lease_one(zombie, submitted.id, ShardState::submitted)).value();
  sql.run("DELETE FROM batchd.replica WHERE term = " + std::to_string(zombie.value));
  batch.status = BatchStatus::completed;
  EXPECT_EQ(wait(store.save(zombie, leased, batchd::apply(leased, Ended{batch}), false)), SaveResult::lost);
  wait(store.note_status(zombie, {{submitted.id, batch.id, BatchStatus::finalizing}}));
  EXPECT_EQ(sql.value("SELECT state || ' ' || batch_status FROM batchd.shard"), "submitted in_progress");
  ShardContents contents = wait(store.contents(submitted.id));
  const RequestId first = contents.members.at(0);
  contents.decided.set(0);
  Settlement settled;
  settled.request = first;
  settled.outcome = Outcome::succeeded;
  settled.response = "{}";
  EXPECT_FALSE(wait(store.settle(zombie, submitted.id, contents, {{settled}, {}})));
}

TEST_F(Shards, AStaleViewWritesNothing) {
  const Term term = planner();
  uploaded(term, 1);
  const Shard shard = wait(store.lease(term, ShardState::uploaded, 1, {})).at(0);
  const Shard intended = step(term, shard, Intended{});
  EXPECT_EQ(wait(store.save(term, shard, batchd::apply(shard, Intended{}), true)), SaveResult::lost)
      << "the intent is there already";
  const Shard again = step(term, intended, NotCreated{{ErrorKind::throttled, 429, "", "slow down", {}}, Milliseconds{0}});
  EXPECT_EQ(again.attempt, 2);
  EXPECT_EQ(wait(store.save(term, intended, batchd::apply(intended, Created{}), true)), SaveResult::lost)
      << "that was another attempt";
}

TEST_F(Shards, EveryFieldSurvivesTheTrip) {
  const Term term = planner();
  insert(2);
  Shard shard = finish(term, planned(term), BatchStatus::expired);
  shard.error = R"({"code":"batch_expired","message":"too late"})";
  shard.error_file = FileId{"err-1"};
  shard.failures = 3;
  Shard before = shard;
  ASSERT_EQ(wait(store.save(term, before, shard, false)), SaveResult::saved);
  const Shard read = leased(term, shard.id, ShardState::finished);
  EXPECT_EQ(read.error, shard.error);
  EXPECT_EQ(read.error_file, shard.error_file);
  EXPECT_EQ(read.output_file, FileId{"out-1"});
  EXPECT_EQ(read.batch, shard.batch);
  EXPECT_EQ(read.batch_status, BatchStatus::expired);
  EXPECT_EQ(read.finish_reason, FinishReason::expired);
  EXPECT_EQ(read.failures, 3);
  EXPECT_EQ(read.requests, 2);
  EXPECT_EQ(read.bytes, 1000);
  EXPECT_EQ(read.tokens, 10);
  EXPECT_EQ(read.reserved, 0);
  EXPECT_EQ(read.lane, (Lane{"m", "/v1/chat/completions"}));
  EXPECT_EQ(read.deployment, "dep");
  EXPECT_EQ(read.provider, "prov");
  EXPECT_EQ(
      sql.value("SELECT uploaded_at <= submitted_at AND submitted_at <= finished_at AND merged_at IS NULL FROM batchd.shard"),
      "t");
}

TEST_F(Shards, TheLedgerHasRoomOrRefuses) {
  const Term term = planner(25);
  uploaded(term, 3);
  auto shards = wait(store.lease(term, ShardState::uploaded, 3, {}));
  EXPECT_EQ(wait(store.save(term, shards[0], batchd::apply(shards[0], Intended{}), true)), SaveResult::saved);
  EXPECT_EQ(wait(store.save(term, shards[1], batchd::apply(shards[1], Intended{}), true)), SaveResult::saved);
  EXPECT_EQ(wait(store.save(term, shards[2], batchd::apply(shards[2], Intended{}), true)), SaveResult::no_room);
  EXPECT_EQ(wait(store.deployments()).at(0).reserved, 20);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard WHERE intent_at IS NOT NULL"), 2);
  const Shard first = batchd::apply(shards[0], Intended{});
  step(term, first, Fenced{});
  EXPECT_EQ(wait(store.save(term, shards[2], batchd::apply(shards[2], Intended{}), true)), SaveResult::saved);
}

TEST_F(Shards, NothingIsReservedWhilePausedOrNoLongerConfigured) {
  const Term term = planner(1000);
  uploaded(term, 1);
  const Shard shard = wait(store.lease(term, ShardState::uploaded, 1, {})).at(0);
  wait(store.pause_deployment(term, "dep", "unauthorized", Milliseconds{0}, Milliseconds{0}));
  EXPECT_EQ(wait(store.save(term, shard, batchd::apply(shard, Intended{}), true)), SaveResult::no_room);
  EXPECT_EQ(wait(store.deployments()).at(0).pause_reason, "unauthorized");
  sql.run("SELECT batchd.resume('deployment:dep')");
  wait(store.publish(term, {{"other", "prov", "m", 1000}}));
  EXPECT_EQ(wait(store.save(term, shard, batchd::apply(shard, Intended{}), true)), SaveResult::no_room);
  EXPECT_THAT(wait(store.deployments()), SizeIs(1));
  wait(store.publish(term, {{"dep", "prov", "m", 1000}}));
  EXPECT_EQ(wait(store.save(term, shard, batchd::apply(shard, Intended{}), true)), SaveResult::saved);
}

TEST_F(Shards, AnotherCredentialMakesDueWhatWaitedForIt) {
  const Term term = planner(1000);
  uploaded(term, 2);
  auto shards = wait(store.lease(term, ShardState::uploaded, 2, {}));
  for (Shard& shard : shards)
    ASSERT_EQ(wait(store.save(term, shard, batchd::apply(shard, Delayed{Milliseconds{60'000}, "{}"}), false)), SaveResult::saved);
  EXPECT_TRUE(wait(store.retry_account("prov")).empty()) << "what waits for other reasons goes on waiting";
  wait(store.pause_deployment(term, "dep", "account", Milliseconds{3'600'000}, Milliseconds{0}));
  EXPECT_TRUE(wait(store.retry_account("other")).empty());
  EXPECT_EQ(wait(store.deployments()).at(0).pause_reason, "account");
  EXPECT_TRUE(wait(store.lease(term, ShardState::uploaded, 2, {})).empty());
  EXPECT_EQ(wait(store.retry_account("prov")), std::vector<std::string>{"dep"});
  EXPECT_FALSE(wait(store.deployments()).at(0).paused);
  EXPECT_EQ(wait(store.lease(term, ShardState::uploaded, 2, {})).size(), 2U);
}

TEST_F(Shards, TwoReplicasRacingNeverOversubscribe) {
  const Term first = planner(50);
  const Term second = join();
  uploaded(first, 20);
  const auto mine = wait(store.lease(first, ShardState::uploaded, 10, {}));
  const auto yours = wait(store.lease(second, ShardState::uploaded, 10, {}));
  // The loops outlive the pool's work: a pool thread lets go of a loop a moment after it has resumed it.
  boost::asio::io_context here_loop;
  boost::asio::io_context other_loop;
  const auto race = [this](boost::asio::io_context& own, Term term, const std::vector<Shard>& shards) {
    int saved = 0;
    for (const Shard& shard : shards) {
      saved += run_task(own, store.save(term, shard, batchd::apply(shard, Intended{}), true)) == SaveResult::saved ? 1 : 0;
    }
    return saved;
  };
  auto other = std::async(std::launch::async, race, std::ref(other_loop), second, yours);
  const int here = race(here_loop, first, mine);
  EXPECT_EQ(here + other.get(), 5);
  EXPECT_EQ(sql.number("SELECT reserved FROM batchd.deployment"), 50);
  EXPECT_EQ(sql.number("SELECT sum(reserved) FROM batchd.shard"), 50);
  pool.join();
}

TEST_F(Shards, AProvidersLiveBatchesAreListed) {
  const Term term = planner();
  insert(1);
  Shard shard = step(term, planned(term), Uploaded{FileId{"f"}, 1, 1});
  shard = step(term, shard, Intended{});
  EXPECT_TRUE(wait(store.live_batches("prov")).empty());
  Batch batch;
  batch.id = BatchId{"b\"\\1"};
  batch.status = BatchStatus::validating;
  shard = step(term, shard, Created{batch});
  auto live = wait(store.live_batches("prov"));
  ASSERT_THAT(live, SizeIs(1));
  EXPECT_EQ(live[0].batch, batch.id);
  live[0].status = BatchStatus::in_progress;
  wait(store.note_status(term, live));
  EXPECT_EQ(wait(store.live_batches("prov")).at(0).status, BatchStatus::in_progress);
  EXPECT_TRUE(wait(store.live_batches("someone else")).empty());
}

TEST_F(Shards, TheMachineIsStatedInTheTable) {
  const Term term = planner();
  insert(1);
  planned(term);
  for (const char* change :
       {"state = 'submitted', input_file = 'f'", "state = 'uploaded'", "reserved = -1", "reserved = 5", "state = 'finished'",
        "intent_at = now()", "state = 'closed', finish_reason = 'ran'", "state = 'odd'"}) {
    EXPECT_NE(sql.error_of(std::string("UPDATE batchd.shard SET ") + change), "") << change;
  }
}

TEST_F(Shards, ABrokenConnectionIsNotUsedAgain) {
  EXPECT_NO_THROW(wait(store.ping()));
  sql.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'batchd'");
  try {
    wait(store.ping());  // on a new connection, when the old one is seen to be closed already
  } catch (const StoreError&) {
  }
  EXPECT_NO_THROW(wait(store.ping()));
}

TEST_F(Shards, PingSaysWhenTheSchemaDoesNotFit) {
  sql.run("UPDATE batchd.schema_migration SET oldest_program = 1000 WHERE version = 3");
  EXPECT_THROW(wait(store.ping()), StoreError);
}

}  // namespace
}  // namespace batchd::testing
