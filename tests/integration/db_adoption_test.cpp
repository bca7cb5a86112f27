// A database that is not where it was: noticed, and taken over as the same installation or as another one.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::HasSubstr;

class Adoption : public StoreTest {
 protected:
  std::string moved() { return sql.value("SELECT batchd.has_moved()"); }
  std::string instance() { return sql.value("SELECT id FROM batchd.instance"); }
  std::vector<std::string> adopt_as_new(const std::string& silence = "10 s") {
    return sql.run("SELECT * FROM batchd.adopt_as_new_instance('" + silence + "')").at(0);
  }
  /// Every replica was last heard of a minute ago.
  void silence() { sql.run("UPDATE batchd.replica SET heartbeat_at = clock_timestamp() - interval '1 min'"); }
};

TEST_F(Adoption, AFreshDatabaseHasNotMoved) {
  sql.run("SELECT batchd.adopt()");
  EXPECT_EQ(moved(), "f");
  EXPECT_EQ(sql.value("SELECT system_identifier IS NOT NULL AND database_oid IS NOT NULL FROM batchd.instance"), "t");
}

TEST_F(Adoption, AnotherServerOrAnotherDatabaseIsNoticedUntilAdopted) {
  for (const char* change : {"system_identifier = system_identifier + 1", "database_oid = 1"}) {
    sql.run(std::string("UPDATE batchd.instance SET ") + change);
    EXPECT_EQ(moved(), "t") << change;
    EXPECT_EQ(sql.value("SELECT batchd.adopt()"), "t");
    EXPECT_EQ(moved(), "f");
    EXPECT_EQ(sql.value("SELECT batchd.adopt()"), "f");
  }
}

TEST_F(Adoption, WhatWasNeverStoredTellsNothing) {
  sql.run("UPDATE batchd.instance SET system_identifier = NULL, database_oid = NULL");
  EXPECT_EQ(moved(), "f");
}

TEST_F(Adoption, AServerThatKeepsItsIdentityToItselfTellsNothing) {
  // As on a managed server: the schema's owner is no superuser, and may not ask.
  sql.run(
      "DO $$ BEGIN IF to_regrole('plain_owner') IS NULL THEN CREATE ROLE plain_owner; END IF; END $$;"
      "GRANT USAGE ON SCHEMA batchd TO plain_owner;"
      "ALTER FUNCTION batchd.present_identity() OWNER TO plain_owner;"
      "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC;"
      "UPDATE batchd.instance SET system_identifier = 1");
  EXPECT_EQ(moved(), "f");
  sql.run("UPDATE batchd.instance SET database_oid = 1");
  EXPECT_EQ(moved(), "t") << "the database's own number may always be asked";
}

TEST_F(Adoption, AWorkerMayAskAndAdopt) {
  sql.run("DO $$ BEGIN IF to_regrole('adopting_worker') IS NULL THEN CREATE ROLE adopting_worker LOGIN; END IF; END $$");
  sql.run("GRANT batchd_worker TO adopting_worker; UPDATE batchd.instance SET database_oid = 1");
  Sql worker(PgCluster::instance().url(database_name, "adopting_worker"));
  EXPECT_EQ(worker.value("SELECT batchd.has_moved()"), "t");
  EXPECT_EQ(worker.value("SELECT batchd.adopt()"), "t");
  const std::string before = instance();
  worker.run("SELECT batchd.adopt_as_new_instance('10 s')");
  EXPECT_NE(instance(), before);
  EXPECT_THAT(worker.error_of("SELECT batchd.present_identity()"), HasSubstr("permission denied"));
}

TEST_F(Adoption, ANewInstanceIsRefusedWhileAReplicaIsAlive) {
  join();
  const std::string before = instance();
  EXPECT_THAT(sql.error_of("SELECT batchd.adopt_as_new_instance('10 s')"),
              HasSubstr("a replica of this database is alive: process 1 on host"));
  EXPECT_EQ(instance(), before);
  silence();
  adopt_as_new();
  EXPECT_NE(instance(), before);
}

TEST_F(Adoption, ANewInstanceLetsGoOfEveryFileAndBatchOfTheOriginal) {
  const Term term = planner();
  std::vector<Shard> shards;
  for (int i = 0; i < 6; ++i) {
    insert(10, "job " + std::to_string(i));
    wait(store.maintain());
    shards.push_back(planned(term));
  }
  // planned, uploaded, intended, submitted, merged halfway, merged wholly
  for (std::size_t i = 1; i < 6; ++i) {
    if (i < 4) shards[i] = step(term, shards[i], Uploaded{FileId{"file-" + std::to_string(i)}, 1000, 10});
    if (i >= 4) shards[i] = finish(term, shards[i]);
  }
  shards[2] = step(term, shards[2], Intended{});
  shards[3] = step(term, shards[3], Intended{});
  Batch batch;
  batch.id = BatchId{"batch-original"};
  shards[3] = step(term, shards[3], Created{batch});
  for (const std::size_t i : {4U, 5U}) {
    ShardContents contents = wait(store.contents(shards[i].id));
    SettleChunk chunk;
    const auto ids = undecided(contents);
    for (std::size_t k = 0; k < (i == 4 ? 4U : 10U); ++k) chunk.settled.push_back(answered(ids[k]));
    ASSERT_TRUE(settle(term, shards[i], contents, std::move(chunk)));
  }
  step(term, shards[5], Merged{});
  EXPECT_GT(sql.number("SELECT reserved FROM batchd.deployment"), 0);
  expect_nothing_lost();

  silence();
  const auto row = adopt_as_new();
  EXPECT_EQ(row[0], instance());
  EXPECT_EQ(row[1], "5");
  EXPECT_EQ(row[2], "46");
  expect_nothing_lost();
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard WHERE state = 'finished' AND finish_reason = 'given_up'"), 5);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard WHERE state = 'closed'"), 1);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard WHERE coalesce(input_file, output_file, error_file) IS NOT NULL"), 0);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard WHERE state <> 'closed' AND batch_id IS NOT NULL"), 0);
  EXPECT_EQ(sql.number("SELECT reserved FROM batchd.deployment"), 0);
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::buried) << "the old term is void";
  EXPECT_TRUE(wait(store.unmatched()).empty()) << "and this instance has lost nothing";
  EXPECT_TRUE(wait(store.live_batches("prov")).empty());
}

TEST_F(Adoption, ANewInstanceHasNoBooksOfTheOriginalsPosts) {
  const Term term = planner();
  insert(1);
  Batch batch;
  batch.id = BatchId{"batch-1"};
  const Shard shard = step(term, step(term, step(term, planned(term), Uploaded{FileId{"f"}, 1, 1}), Intended{}), Created{batch});
  batch.id = BatchId{"batch-2"};
  wait(store.record_stray("prov", StrayKind::duplicate, stray_of(batch, shard.id, 1)));
  silence();
  adopt_as_new();
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.submission") + sql.number("SELECT count(*) FROM batchd.stray"), 0);
}

TEST_F(Adoption, AReplicaThatSleptThroughItTouchesNothing) {
  const Term term = planner();
  insert(10);
  wait(store.maintain());
  Shard shard = planned(term);
  silence();
  adopt_as_new();
  const Shard uploaded = batchd::apply(shard, Uploaded{FileId{"file-late"}, 1000, 10});
  EXPECT_EQ(wait(store.save(term, shard, uploaded, true)), SaveResult::lost);
  EXPECT_FALSE(wait(store.plan(term, order_for_all())).has_value());
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard WHERE input_file IS NOT NULL"), 0);
}

}  // namespace
}  // namespace batchd::testing
