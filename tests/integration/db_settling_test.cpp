// What the public views say of requests on their way, and what is left of a shard whose members are decided.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::ElementsAre;

class Settling : public StoreTest {};

TEST_F(Settling, LeavesNothingOfAShardThatIsMergedAndTellsWhenItsJobIsDone) {
  const Term term = planner();
  sql.run("LISTEN batchd_job");
  insert(3);
  Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(RequestId{1}), answered(RequestId{2})}, {}}));
  wait(store.backlog());
  EXPECT_THAT(sql.notifications(), ::testing::IsEmpty());
  EXPECT_EQ(sql.value("SELECT estimated_finish IS NOT NULL FROM batchd.job_progress"), "t");
  ASSERT_TRUE(settle(term, shard, contents, {{answered(RequestId{3})}, {}}));
  wait(store.backlog());
  EXPECT_THAT(sql.notifications(), ElementsAre(R"(batchd_job {"job" : "default"})"));
  EXPECT_EQ(sql.value("SELECT estimated_finish IS NULL FROM batchd.job_progress"), "t");
  shard = step(term, shard, Merged{});
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard_member") + sql.number("SELECT count(*) FROM batchd.shard_progress"), 0);
  step(term, shard, Closed{});
  EXPECT_EQ(
      sql.value("SELECT uploaded_at <= submitted_at AND submitted_at <= finished_at AND finished_at <= merged_at AND merged_at "
                "<= closed_at FROM batchd.shard"),
      "t");
  expect_nothing_lost();
}

TEST_F(Settling, RequestStatusFollowsARequestByIdByKeyAndByJob) {
  const Term term = planner();
  sql.run("INSERT INTO batchd.request (model, body, job, key) SELECT 'm', '{}', 'j', 'key ' || n FROM generate_series(1, 4) n");
  const auto states = [&] {
    return sql.value("SELECT string_agg(state, ' ' ORDER BY id) FROM batchd.request_status WHERE job = 'j'");
  };
  EXPECT_EQ(states(), "queued queued queued queued");
  Shard shard = planned(term, 3);
  EXPECT_EQ(states(), "in_flight in_flight in_flight queued");
  shard = finish(term, shard);
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(RequestId{1})}, {{RequestId{2}, 1, Milliseconds{0}, R"({"code":"x"})"}}}));
  EXPECT_EQ(states(), "succeeded queued in_flight queued");
  // The returned one is in a newer shard while the first is still being merged.
  const auto newer = wait(store.plan(term, order_for_all(1)));
  EXPECT_EQ(states(), "succeeded in_flight in_flight queued");
  EXPECT_EQ(sql.value("SELECT shard FROM batchd.request_status WHERE job = 'j' AND key = 'key 2'"),
            std::to_string(newer->id.value));
  EXPECT_EQ(sql.value("SELECT batch_id FROM batchd.request_status WHERE id = 3"), shard.batch->value);
  expect_nothing_lost();
}

TEST_F(Settling, RequestStatusIsFoundByIndexes) {
  sql.run(
      "INSERT INTO batchd.request (model, body, job, key) SELECT 'm', '{}', 'j', 'key ' || n FROM generate_series(1, 3000) n");
  sql.run("INSERT INTO batchd.request (model, body, job) SELECT 'm', '{}', 'big' FROM generate_series(1, 30000) n");
  planned(planner());
  sql.run("ANALYZE");
  for (const std::string where : {"id = 777", "job = 'j' AND key = 'key 777'"}) {
    std::string plan;
    for (const auto& row : sql.run("EXPLAIN SELECT * FROM batchd.request_status WHERE " + where)) plan += row[0] + "\n";
    EXPECT_EQ(plan.find("Seq Scan on request_0"), std::string::npos) << where << "\n" << plan;
    EXPECT_EQ(plan.find("Seq Scan on request_key"), std::string::npos) << where << "\n" << plan;
  }
}

}  // namespace
}  // namespace batchd::testing
