// Deciding members: once, resumable, under the lease; and what the public views say of it.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class Settling : public StoreTest {};

TEST_F(Settling, WritesTheAnswersBesideTheRequests) {
  const Term term = planner();
  sql.run("LISTEN batchd_job");
  insert(3);
  Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  Settlement failed;
  failed.request = RequestId{2};
  failed.status_code = 400;
  failed.error = R"({"code":"bad","message":"no"})";
  ASSERT_TRUE(settle(term, shard, contents, {{answered(RequestId{1}, R"({"n": 9007199254740993, "z": "\u0000"})"), failed}, {}}));
  EXPECT_THAT(
      sql.run("SELECT outcome, status_code, response, error IS NULL, input_tokens, output_tokens, provider_request_id, attempt, "
              "shard_id FROM batchd.result WHERE request_id = 1")
          .at(0),
      ElementsAre("succeeded", "200", R"({"n": 9007199254740993, "z": "\u0000"})", "t", "3", "4", "req-1", "1",
                  std::to_string(shard.id.value)));
  EXPECT_THAT(sql.run("SELECT outcome, status_code, response IS NULL, error->>'code', input_tokens IS NULL FROM batchd.result "
                      "WHERE request_id = 2")
                  .at(0),
              ElementsAre("failed", "400", "t", "bad", "t"));
  expect_nothing_lost();
  EXPECT_EQ(wait(store.contents(shard.id)).decided.count(), 2U);
  EXPECT_THROW(wait(store.save(term, shard, batchd::apply(shard, Merged{}), true)), StoreError) << "one member is undecided";
  ASSERT_TRUE(settle(term, shard, contents, {{answered(RequestId{3})}, {}}));
  wait(store.backlog());
  EXPECT_THAT(sql.notifications(), ElementsAre(R"(batchd_job {"job" : "default"})"));
  shard = step(term, shard, Merged{});
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard_member") + sql.number("SELECT count(*) FROM batchd.shard_progress"), 0);
  shard = step(term, shard, Closed{});
  EXPECT_EQ(sql.value("SELECT state || ' ' || (owner IS NULL) FROM batchd.shard"), "closed true");
  expect_nothing_lost();
  EXPECT_THAT(
      sql.run("SELECT accepted, queued, in_flight, succeeded, failed, input_tokens, output_tokens, estimated_finish IS NULL "
              "FROM batchd.job_progress")
          .at(0),
      ElementsAre("3", "0", "0", "2", "1", "6", "8", "t"));
}

TEST_F(Settling, TheSameChunkTwiceCountsOnce) {
  const Term term = planner();
  insert(2);
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  SettleChunk chunk{{answered(RequestId{1})}, {{RequestId{2}, 1, Milliseconds{0}, ""}}};
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  EXPECT_TRUE(wait(store.settle(term, shard.id, contents, chunk))) << "as after a COMMIT whose answer was lost";
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.answer"), 1);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.retry"), 1);
  expect_nothing_lost();
}

TEST_F(Settling, AnotherReplicasViewIsRefused) {
  const Term zombie = planner();
  insert(3);
  const Shard shard = finish(zombie, planned(zombie));
  ShardContents stale = wait(store.contents(shard.id));
  sql.run("DELETE FROM batchd.replica WHERE term = " + std::to_string(zombie.value));
  const Term heir = join();
  leased(heir, shard.id, ShardState::finished);
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(heir, shard, contents, {{answered(RequestId{1})}, {}}));
  EXPECT_FALSE(settle(zombie, shard, stale, {{answered(RequestId{2})}, {}})) << "its term is void";
  ShardContents older = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(heir, shard, contents, {{answered(RequestId{2})}, {}}));
  EXPECT_FALSE(settle(heir, shard, older, {{answered(RequestId{3})}, {}})) << "its bitmap is out of date";
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.answer"), 2);
  expect_nothing_lost();
}

TEST_F(Settling, AChunkMustNameUndecidedMembers) {
  const Term term = planner();
  insert(2);
  const Shard shard = finish(term, planned(term));
  const ShardContents contents = wait(store.contents(shard.id));
  EXPECT_THROW(wait(store.settle(term, shard.id, contents, {{answered(RequestId{77})}, {}})), std::logic_error);
  EXPECT_THROW(wait(store.settle(term, shard.id, contents, {{answered(RequestId{1})}, {}})), std::logic_error)
      << "its bit is not set";
}

TEST_F(Settling, BadRowsAreSettledBeforeAnythingIsSent) {
  const Term term = planner();
  insert(3);
  const Shard shard = planned(term);
  ShardContents contents = wait(store.contents(shard.id));
  Settlement bad;
  bad.request = RequestId{2};
  bad.error = R"({"code":"invalid_body","message":"the body is not an object"})";
  ASSERT_TRUE(settle(term, shard, contents, {{bad}, {}}));
  EXPECT_EQ(sql.value("SELECT attempt FROM batchd.result"), "0") << "no batch ran with it";
  EXPECT_THAT(bodies(shard), SizeIs(2)) << "only what is undecided is sent";
  expect_nothing_lost();
}

TEST_F(Settling, ResumesInTheMiddle) {
  const Term term = planner();
  insert(10'000);
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  SettleChunk chunk;
  for (std::int64_t id = 1; id <= 10'000; id += 2) chunk.settled.push_back(answered(RequestId{id}));
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  // Another life reads what is left.
  const auto read = bodies(shard);
  ASSERT_THAT(read, SizeIs(5000));
  for (const auto& [id, body] : read) ASSERT_EQ(id % 2, 0);
  contents = wait(store.contents(shard.id));
  chunk = {};
  for (const RequestId id : undecided(contents)) chunk.returned.push_back({id, 1, Milliseconds{0}, R"({"code":"absent"})"});
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  step(term, shard, Merged{});
  expect_nothing_lost();
  const auto again = wait(store.plan(term, order_for_all()));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->requests, 5000);
  EXPECT_THAT(wait(store.contents(again->id)).attempts, SizeIs(5000));
}

TEST_F(Settling, AReturnedRequestKeepsItsAttemptsUntilItIsSettled) {
  const Term term = planner();
  insert(1);
  for (int attempt = 1; attempt <= 2; ++attempt) {
    Shard shard = finish(term, planned(term));
    ShardContents contents = wait(store.contents(shard.id));
    EXPECT_EQ(contents.attempts.contains(RequestId{1}), attempt > 1);
    ASSERT_TRUE(
        settle(term, shard, contents, {{}, {{RequestId{1}, attempt, Milliseconds{0}, attempt == 1 ? R"({"code":"e1"})" : ""}}}));
    EXPECT_THAT(
        sql.run("SELECT state, attempts, last_error->>'code', shard IS NULL FROM batchd.request_status WHERE id = 1").at(0),
        ElementsAre("queued", std::to_string(attempt), "e1", "t"));
    step(term, step(term, shard, Merged{}), Closed{});
  }
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  EXPECT_EQ(contents.attempts.at(RequestId{1}), 2);
  ASSERT_TRUE(settle(term, shard, contents, {{answered(RequestId{1})}, {}}));
  EXPECT_THAT(
      sql.run("SELECT state, attempts, last_error IS NULL, shard, batch_id FROM batchd.request_status WHERE id = 1").at(0),
      ElementsAre("succeeded", "3", "t", std::to_string(shard.id.value), "batch-" + std::to_string(shard.id.value)));
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.request_attempt"), 0);
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
