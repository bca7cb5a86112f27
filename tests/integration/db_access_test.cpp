// Least privilege under each role, and partitions that are there before their ids.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char denied[] = "42501";

/// A user of its own for one of batchd's roles.
std::string user_with(Sql& sql, const std::string& role) {
  const std::string user = "user_of_" + role;
  sql.run("DO $$ BEGIN IF to_regrole('" + user + "') IS NULL THEN CREATE ROLE " + user + " LOGIN; END IF; END $$");
  sql.run("GRANT " + role + " TO " + user);
  return user;
}

class Access : public StoreTest {
 protected:
  Sql as(const std::string& role) { return Sql(PgCluster::instance().url(database_name, user_with(sql, role))); }
};

TEST_F(Access, AProducerEnqueuesAndSeesWhatItNamed) {
  Sql producer = as("batchd_producer");
  EXPECT_EQ(producer.value("INSERT INTO batchd.request (model, body, endpoint, job, key, priority, deadline) VALUES "
                           "('m', '{}', '/v1/responses', 'j', 'k', 1, now()) RETURNING id"),
            "1");
  EXPECT_EQ(producer.copy("COPY batchd.request (model, body) FROM STDIN", "m\t{}\nm\t{}\n"), 2);
  EXPECT_EQ(producer.value("SELECT id FROM batchd.request WHERE job = 'j' AND key = 'k'"), "1");
  expect_nothing_lost();
}

TEST_F(Access, AProducerDoesNothingElse) {
  Sql producer = as("batchd_producer");
  for (const char* statement :
       {"INSERT INTO batchd.request (id, model, body) VALUES (7, 'm', '{}')", "SELECT body FROM batchd.request",
        "UPDATE batchd.request SET key = 'x'", "DELETE FROM batchd.request", "INSERT INTO batchd.queue VALUES (1, '1', 1, 1)",
        "SELECT * FROM batchd.delta", "SELECT * FROM batchd.result",
        "INSERT INTO batchd.request_0 (model, body) VALUES ('m', '{}')", "SELECT batchd.make_partitions()",
        "SELECT batchd.apply_grants()", "CREATE TABLE batchd.mine (n int)", "SELECT * FROM batchd.fold(1)"}) {
    EXPECT_THAT(producer.error_of(statement), StartsWith(denied)) << statement;
  }
}

TEST_F(Access, AReaderReadsAndWritesNothing) {
  insert(2);
  Sql reader = as("batchd_reader");
  for (const char* view : {"request", "result", "request_status", "job_progress", "result_history"}) {
    EXPECT_EQ(reader.error_of(std::string("SELECT * FROM batchd.") + view), "") << view;
  }
  for (const char* statement : {"INSERT INTO batchd.request (model, body) VALUES ('m', '{}')", "SELECT * FROM batchd.shard",
                                "UPDATE batchd.deployment SET reserved = 0", "DELETE FROM batchd.result"}) {
    EXPECT_NE(reader.error_of(statement), "") << statement;
  }
}

TEST_F(Access, AWorkerDoesTheDaemonsWholeWork) {
  insert(20);
  const std::string user = user_with(sql, "batchd_worker");
  Database worker_database({.url = PgCluster::instance().url(database_name, user), .listen_url = ""});
  PgStore worker(worker_database, pool, metrics);
  EXPECT_NO_THROW(wait(worker.ping()));
  const Term term = wait(worker.join({"h", 1, "v", {}}));
  wait(worker.publish(term, {{"dep", "prov", "m", 1000}}));
  ASSERT_TRUE(wait(worker.hold_role(term, "plan")));
  wait(worker.maintain());
  const auto made = wait(worker.plan(term, order_for_all()));
  ASSERT_TRUE(made);
  Shard shard = wait(worker.lease(term, ShardState::planned, 1, {})).at(0);
  ShardContents contents = wait(worker.contents(shard.id));
  int seen = 0;
  wait(worker.read_bodies(shard.id, contents, [&](RequestId, std::string_view) { return ++seen > 0; }));
  EXPECT_EQ(seen, 20);
  const auto advance = [&](const ShardEvent& event) {
    const Shard after = batchd::apply(shard, event);
    EXPECT_EQ(wait(worker.save(term, shard, after, true)), SaveResult::saved);
    shard = after;
  };
  Batch batch;
  batch.id = BatchId{"b"};
  batch.status = BatchStatus::completed;
  advance(Uploaded{FileId{"f"}, 1, 1});
  advance(Intended{});
  advance(Created{batch});
  EXPECT_EQ(wait(worker.live_batches("prov")).size(), 1U);
  advance(Ended{batch});
  SettleChunk chunk;
  for (const RequestId id : undecided(contents)) {
    contents.decided.set(contents.members.rank(id).value());
    if (id.value % 2 == 0) chunk.settled.push_back(answered(id));
    if (id.value % 2 == 1) chunk.returned.push_back({id, 1, Milliseconds{0}, R"({"code":"x"})"});
  }
  EXPECT_TRUE(wait(worker.settle(term, shard.id, contents, chunk)));
  advance(Merged{});
  advance(Closed{});
  EXPECT_EQ(wait(worker.gauges()).settled.at("succeeded"), 10);
  EXPECT_EQ(wait(worker.backlog()).at(0).returned, 10);
  EXPECT_EQ(wait(worker.fail_unroutable(term, {}, Milliseconds{0})), 10);
  EXPECT_EQ(wait(worker.expire_overdue(term)), 0);
  wait(worker.pause_deployment(term, "dep", "x", Milliseconds{1}, Milliseconds{0}));
  EXPECT_EQ(wait(worker.bury_dead(Milliseconds{60'000}, {})).replicas, 0);
  wait(worker.leave(term));
  expect_nothing_lost();
}

TEST_F(Access, AWorkerChangesNoRequestAndNoResult) {
  insert(1);
  Sql worker = as("batchd_worker");
  for (const char* statement :
       {"UPDATE batchd.request SET body = '{}'", "DELETE FROM batchd.request", "UPDATE batchd.answer SET outcome = 'failed'",
        "DELETE FROM batchd.answer", "UPDATE batchd.instance SET id = 'x'", "CREATE TABLE batchd.mine (n int)",
        "SELECT batchd.make_partition('request', 'id', 99)"}) {
    EXPECT_THAT(worker.error_of(statement), StartsWith(denied)) << statement;
  }
}

class Partitions : public StoreTest {
 protected:
  std::string home_of(std::int64_t id) {
    return sql.value("SELECT tableoid::regclass FROM batchd.request WHERE id = " + std::to_string(id));
  }
  void jump_to(std::int64_t id) { sql.run("SELECT setval('batchd.request_id', " + std::to_string(id) + ", false)"); }
};

TEST_F(Partitions, AreMadeAheadOfTheIds) {
  EXPECT_EQ(sql.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'batchd.request'::regclass"), 10)
      << "nine and the default";
  jump_to(4'400'000);
  wait(store.maintain());
  EXPECT_EQ(sql.value("SELECT to_regclass('batchd.answer_16') IS NOT NULL AND to_regclass('batchd.request_16') IS NOT NULL"),
            "t");
  insert(1);
  EXPECT_EQ(home_of(4'400'000), "batchd.request_8");
}

TEST_F(Partitions, AnInsertBeyondThemAllStillSucceeds) {
  const Term term = planner();
  jump_to(90'000'000);
  insert(3);
  EXPECT_EQ(home_of(90'000'000), "batchd.request_default");
  wait(store.maintain());  // that range stays where it is, the ones after it are made
  EXPECT_EQ(sql.value("SELECT to_regclass('batchd.request_180') IS NULL AND to_regclass('batchd.request_181') IS NOT NULL"), "t");
  insert(1);
  EXPECT_EQ(home_of(90'000'003), "batchd.request_default");
  jump_to(90'500'000);
  insert(1);
  EXPECT_EQ(home_of(90'500'000), "batchd.request_181");
  Shard shard = planned(term);
  EXPECT_EQ(bodies(shard).size(), 5U);
  shard = finish(term, shard);
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(RequestId{90'000'000}), answered(RequestId{90'500'000})}, {}}));
  expect_nothing_lost();
}

TEST_F(Partitions, WaitBrieflyForWhoIsInTheWay) {
  Sql onlooker(url);
  onlooker.run("BEGIN; SELECT count(*) FROM batchd.request");  // holds a lock on the default partition
  jump_to(40'000'000);
  EXPECT_NO_THROW(wait(store.maintain()));
  EXPECT_EQ(sql.value("SELECT to_regclass('batchd.request_80') IS NULL"), "t");
  insert(1);
  onlooker.run("COMMIT");
  wait(store.maintain());
  EXPECT_EQ(sql.value("SELECT to_regclass('batchd.request_88') IS NOT NULL"), "t");
}

TEST_F(Partitions, MadeLaterAreLikeTheFirst) {
  jump_to(40'000'000);
  wait(store.maintain());
  EXPECT_EQ(
      sql.value("SELECT (SELECT count(*) FROM pg_index WHERE indrelid = 'batchd.request_80'::regclass) || ' ' ||"
                " (SELECT count(*) FROM pg_constraint WHERE conrelid = 'batchd.request_80'::regclass AND contype = 'c') || ' ' ||"
                " (SELECT attcompression::text FROM pg_attribute WHERE attrelid = 'batchd.answer_80'::regclass AND attname = "
                "'response')"),
      sql.value("SELECT (SELECT count(*) FROM pg_index WHERE indrelid = 'batchd.request_0'::regclass) || ' ' ||"
                " (SELECT count(*) FROM pg_constraint WHERE conrelid = 'batchd.request_0'::regclass AND contype = 'c') || ' l'"));
}

}  // namespace
}  // namespace batchd::testing
