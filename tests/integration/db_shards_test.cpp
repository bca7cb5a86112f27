// What the tables of shards guard by themselves, replicas that race for the same room, and connections that break.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

#include <functional>
#include <future>
#include <thread>

namespace batchd::testing {
namespace {

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
