// From the queue to shards: limits, order, slow producers, and requests that no shard will ever hold.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class Planning : public StoreTest {
 protected:
  std::vector<std::int64_t> ids_of(ShardId shard) {
    const ShardContents contents = wait(store.contents(shard));
    std::vector<std::int64_t> ids;
    for (std::size_t rank = 0; rank < contents.members.size(); ++rank) ids.push_back(contents.members.at(rank).value);
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  /// Plans until nothing is left; returns the sizes.
  std::vector<std::int64_t> plan_all(Term term, std::int64_t max_requests = 100'000) {
    std::vector<std::int64_t> sizes;
    while (const auto shard = wait(store.plan(term, order_for_all(max_requests)))) sizes.push_back(shard->requests);
    return sizes;
  }
};

TEST_F(Planning, KeepsScatteredMembersInBoundedPieces) {
  const Term term = planner();
  // Two jobs interleaved row by row: each has only isolated ids.
  sql.run(
      "INSERT INTO batchd.request (model, body, job) SELECT 'm', to_json(n), 'job ' || n % 2 FROM generate_series(1, 20000) n");
  PlanOrder order = order_for_all();
  order.flows.resize(1);
  const auto shard = wait(store.plan(term, order));
  EXPECT_EQ(shard->requests, 10'000);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard_member"), 10);
  EXPECT_EQ(sql.number("SELECT max(requests) FROM batchd.shard_member"), 1024);
  const auto read = bodies(leased(term, shard->id, ShardState::planned));
  ASSERT_THAT(read, SizeIs(10'000));
  EXPECT_TRUE(std::is_sorted(read.begin(), read.end()));
  for (const auto& [id, body] : read) EXPECT_EQ(std::to_string(id), body);
}

TEST_F(Planning, LosesNothingOfASlowProducerAndWaitsForNobody) {
  const Term term = planner();
  insert(1);  // the flow and its cursor exist
  EXPECT_THAT(plan_all(term), SizeIs(1));
  Sql slow(url);
  slow.run("BEGIN; INSERT INTO batchd.request (model, body) SELECT 'm', '{}' FROM generate_series(1, 700)");
  slow.run("INSERT INTO batchd.request (model, body, job) SELECT 'm', '{}', 'new' FROM generate_series(1, 300)");
  for (int i = 0; i < 10; ++i) insert(1000);
  insert(5, "new");
  std::int64_t taken = 0;
  for (const std::int64_t size : plan_all(term, 3000)) taken += size;
  EXPECT_EQ(taken, 10'005) << "what is committed is taken without waiting";
  EXPECT_TRUE(plan_all(term).empty());
  slow.run("INSERT INTO batchd.request (model, body) VALUES ('m', '{}')");
  slow.run("COMMIT");
  insert(2);
  taken = 0;
  for (const std::int64_t size : plan_all(term, 400)) taken += size;
  EXPECT_EQ(taken, 700 + 300 + 1 + 2) << "and what comes late is taken when it comes";
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.queue"), 0);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.flow_cursor WHERE cardinality(open_xacts) > 0"), 0);
  expect_nothing_lost();
}

TEST_F(Planning, LosesNothingOfManyProducersThatCommitInAnyOrder) {
  const Term term = planner();
  unsigned seed = 12345;
  const auto random = [&seed](unsigned below) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8U) % below;
  };
  std::vector<Sql> producers;
  for (int i = 0; i < 6; ++i) producers.emplace_back(url);
  std::vector<bool> open(producers.size(), false);
  for (int round = 0; round < 150; ++round) {
    const std::size_t p = random(static_cast<unsigned>(producers.size()));
    if (!open[p]) producers[p].run("BEGIN");
    producers[p].run("INSERT INTO batchd.request (model, body, job) SELECT 'm', '{}', 'job " + std::to_string(random(2)) +
                     "' FROM generate_series(1, " + std::to_string(1 + random(20)) + ")");
    open[p] = random(3) != 0;
    if (!open[p]) producers[p].run(random(5) == 0 ? "ROLLBACK" : "COMMIT");
    if (random(2) == 0) wait(store.plan(term, order_for_all(1 + random(30))));
  }
  for (std::size_t p = 0; p < producers.size(); ++p) {
    if (open[p]) producers[p].run("COMMIT");
  }
  plan_all(term, 50);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.queue"), 0);
  EXPECT_EQ(sql.number("SELECT sum(requests) FROM batchd.shard_member"), sql.number("SELECT count(*) FROM batchd.request"));
  expect_nothing_lost();
}

TEST_F(Planning, NeverWalksOverDeadRowsAgain) {
  const Term term = planner();
  Sql onlooker(url);
  onlooker.run(
      "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM batchd.request");  // keeps every dead row from going away
  insert(20'000);
  EXPECT_THAT(plan_all(term, 2000), SizeIs(10));
  const auto pages_read = [this](const std::string& where) {
    std::string plan;
    for (const auto& row : sql.run("SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN (ANALYZE, BUFFERS) "
                                   "SELECT id FROM batchd.queue WHERE " +
                                   where)) {
      plan += row[0] + "\n";
    }
    const auto at = plan.find("shared hit=");
    return at == std::string::npos ? 0 : std::stoi(plan.substr(at + 11));
  };
  const auto row = sql.run("SELECT flow, xact, id FROM batchd.flow_cursor").at(0);
  const int from_the_start = pages_read("flow = " + row[0]);
  const int from_the_cursor = pages_read("flow = " + row[0] + " AND (xact, id) > ('" + row[1] + "'::xid8, " + row[2] + ")");
  EXPECT_GT(from_the_start, 100) << "the dead rows are still there";
  EXPECT_LT(from_the_cursor, 10);
}

TEST_F(Planning, StartsAgainWhereTransactionsAreCountedAnew) {
  const Term term = planner();
  insert(3);
  plan_all(term);
  sql.run("UPDATE batchd.flow_cursor SET xact = '99999999999'");  // as after a dump was restored on another server
  insert(4);
  EXPECT_THAT(plan_all(term), ::testing::ElementsAre(4));
}

}  // namespace
}  // namespace batchd::testing
