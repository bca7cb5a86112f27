// `batchd migrate`: what it makes, when it refuses, and that several at once are one.
#include "db/migrator.hpp"
#include "db/queries.hpp"
#include "db/store.hpp"
#include "support/pg_fixture.hpp"

#include <gmock/gmock.h>

#include <future>

namespace batchd::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Migrations : public PgTest {
 protected:
  Migrations() : PgTest(false), database({.url = url, .listen_url = ""}) {}
  Database database;
};

TEST_F(Migrations, MakeTheSchemaOnAnEmptyDatabase) {
  Migrator migrator(database);
  EXPECT_EQ(migrator.check().state, SchemaState::absent);
  const MigrationReport report = migrator.migrate();
  EXPECT_TRUE(report.schema.ok()) << report.schema.sentence;
  EXPECT_THAT(report.applied, SizeIs(embedded_migrations().size()));
  EXPECT_EQ(report.administrator_sql, "");
  EXPECT_TRUE(migrator.check().ok());
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.schema_migration WHERE length(checksum) = 64"),
            static_cast<std::int64_t>(embedded_migrations().size()));
}

TEST_F(Migrations, RefuseADatabaseThatCannotHoldEveryAnswer) {
  for (const std::string encoding : {"LATIN1", "SQL_ASCII"}) {
    const std::string name = "in_" + encoding;
    sql.run("CREATE DATABASE \"" + name + "\" ENCODING '" + encoding + "' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    Database other({.url = PgCluster::instance().url(name), .listen_url = ""});
    if (encoding == "SQL_ASCII") {
      EXPECT_TRUE(Migrator(other).migrate().schema.ok());
      continue;
    }
    try {
      Migrator(other).migrate();
      ADD_FAILURE() << encoding;
    } catch (const StoreError& error) {
      EXPECT_THAT(error.what(), HasSubstr("encoding is " + encoding));
    }
    EXPECT_EQ(Migrator(other).check().state, SchemaState::absent);
  }
}

TEST_F(Migrations, FindNothingToDoTheSecondTime) {
  Migrator migrator(database);
  migrator.migrate();
  const std::string instance = sql.value("SELECT id FROM batchd.instance");
  const MigrationReport again = migrator.migrate();
  EXPECT_TRUE(again.schema.ok());
  EXPECT_THAT(again.applied, IsEmpty());
  EXPECT_EQ(sql.value("SELECT id FROM batchd.instance"), instance);
}

TEST_F(Migrations, RunOnceWhenFourProgramsMigrateTogether) {
  std::vector<std::future<MigrationReport>> runs;
  for (int i = 0; i < 4; ++i) {
    runs.push_back(std::async(std::launch::async, [this] { return Migrator(database).migrate(); }));
  }
  std::size_t applied = 0;
  for (auto& run : runs) {
    const MigrationReport report = run.get();
    EXPECT_TRUE(report.schema.ok()) << report.schema.sentence;
    applied += report.applied.size();
  }
  EXPECT_EQ(applied, embedded_migrations().size());
}

TEST_F(Migrations, RefuseAnEditedOne) {
  Migrator migrator(database);
  migrator.migrate();
  sql.run("UPDATE batchd.schema_migration SET checksum = repeat('0', 64) WHERE version = 2");
  EXPECT_EQ(migrator.check().state, SchemaState::edited);
  const MigrationReport report = migrator.migrate();
  EXPECT_EQ(report.schema.state, SchemaState::edited);
  EXPECT_THAT(report.schema.sentence, HasSubstr("0002_expand_shards"));
  EXPECT_THAT(report.applied, IsEmpty());
}

TEST_F(Migrations, CallASchemaOldThatLacksOne) {
  std::vector<Migration> newer = embedded_migrations();
  Migrator(database).migrate();
  newer.push_back({99, "0099_expand_more", 1,
                   std::string_view("0123456789012345678901234567890123456789012345678901234567890123"),
                   "CREATE TABLE batchd.more (n int)"});
  Migrator migrator(database, newer, program_number);
  EXPECT_EQ(migrator.check().state, SchemaState::older);
  EXPECT_THAT(migrator.check().sentence, HasSubstr("batchd migrate"));
  EXPECT_THAT(migrator.migrate().applied, SizeIs(1));
  EXPECT_TRUE(migrator.check().ok());
  // The program that does not know the newer migration can live with it.
  EXPECT_TRUE(Migrator(database).check().ok());
}

TEST_F(Migrations, RefuseASchemaThatNeedsANewerProgram) {
  Migrator(database).migrate();
  sql.run("INSERT INTO batchd.schema_migration (version, name, checksum, oldest_program) VALUES (99, '0099_contract_all', 'x', " +
          std::to_string(program_number + 1) + ")");
  const SchemaReport report = Migrator(database).check();
  EXPECT_EQ(report.state, SchemaState::too_new);
  EXPECT_THAT(report.sentence, HasSubstr("0099_contract_all"));
  EXPECT_EQ(Migrator(database).migrate().schema.state, SchemaState::too_new);
}

TEST_F(Migrations, LeaveNothingBehindWhenOneFails) {
  std::vector<Migration> broken = embedded_migrations();
  broken.push_back({99, "0099_expand_broken", 1, "x", "SELECT 1/0"});
  EXPECT_THROW(Migrator(database, broken).migrate(), StoreError);
  EXPECT_EQ(Migrator(database).check().state, SchemaState::absent);
}

TEST_F(Migrations, PrintWhatOnlyAnAdministratorMayDo) {
  // A server without the roles, and a user who may not make any.
  sql.run("DROP ROLE IF EXISTS plain");
  sql.run("CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE " + database_name + " TO plain");
  if (sql.number("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'batchd\\_%'") > 0) {
    // Another test of this binary has made them; they are the cluster's, so only their absence is simulated.
    sql.run(
        "ALTER ROLE batchd_producer RENAME TO aside_producer; ALTER ROLE batchd_worker RENAME TO aside_worker;"
        "ALTER ROLE batchd_reader RENAME TO aside_reader");
  }
  Database as_plain({.url = PgCluster::instance().url(database_name, "plain"), .listen_url = ""});
  const MigrationReport report = Migrator(as_plain).migrate();
  EXPECT_TRUE(report.schema.ok());
  EXPECT_THAT(report.administrator_sql, HasSubstr("CREATE ROLE batchd_producer NOLOGIN"));
  sql.run(report.administrator_sql);
  EXPECT_EQ(sql.value("SELECT has_column_privilege('batchd_producer', 'batchd.request', 'body', 'INSERT')"), "t");
  EXPECT_EQ(Migrator(as_plain).migrate().administrator_sql, "");
  sql.run("DROP OWNED BY batchd_producer, batchd_worker, batchd_reader; DROP ROLE batchd_producer, batchd_worker, batchd_reader");
  sql.run(
      "DO $$ BEGIN IF to_regrole('aside_producer') IS NOT NULL THEN ALTER ROLE aside_producer RENAME TO batchd_producer;"
      "ALTER ROLE aside_worker RENAME TO batchd_worker; ALTER ROLE aside_reader RENAME TO batchd_reader; END IF; END $$");
}

TEST_F(Migrations, SayInTheirNamesWhenTheyMayRun) {
  int last = 0;
  for (const Migration& migration : embedded_migrations()) {
    EXPECT_EQ(migration.version, last + 1) << migration.name;
    last = migration.version;
    EXPECT_THAT(std::string(migration.name), ::testing::AnyOf(HasSubstr("_expand_"), HasSubstr("_contract_")));
    EXPECT_LE(migration.oldest_program, program_number);
  }
}

TEST(Connecting, NeverRepeatsASecret) {
  try {
    Database database({.url = "postgresql://user:hunter2@host:port:5432/x?nonsense", .listen_url = ""});
    FAIL() << "this is no URL";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), Not(HasSubstr("hunter2")));
  }
  Database nowhere({.url = "host=/nonexistent-socket user=u password=hunter2 dbname=d", .listen_url = ""});
  try {
    Migrator(nowhere).check();
    FAIL() << "there is no server";
  } catch (const StoreError& error) {
    EXPECT_THAT(error.what(), Not(HasSubstr("hunter2")));
    EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
  }
}

class Statements : public PgTest {};

TEST_F(Statements, AreAllUnderstoodByTheServer) {
  for (const auto& statement : queries::all) {
    std::string text = statement.sql;
    EXPECT_EQ(sql.error_of("PREPARE " + std::string(statement.name) + " AS " + text), "") << text;
  }
}

}  // namespace
}  // namespace batchd::testing
