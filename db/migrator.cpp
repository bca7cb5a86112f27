#include "db/migrator.hpp"

#include "db/store.hpp"
#include "db/transaction.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace batchd {
namespace {

struct Applied {
  std::string name;
  std::string checksum;
  int oldest_program = 0;
};

std::map<int, Applied> read_applied(Transaction& tx) {
  std::map<int, Applied> applied;
  if (tx.run("SELECT to_regclass('batchd.schema_migration') IS NULL")[0][0].as<bool>()) return applied;
  for (const auto& row : tx.run("SELECT version, name, checksum, oldest_program FROM batchd.schema_migration ORDER BY version")) {
    applied[row[0].as<int>()] = {row[1].as<std::string>(), row[2].as<std::string>(), row[3].as<int>()};
  }
  return applied;
}

SchemaReport judge(const std::map<int, Applied>& applied, const std::vector<Migration>& known, int program) {
  SchemaReport report;
  if (applied.empty()) return {SchemaState::absent, 0, "the database has no batchd schema: run `batchd migrate`"};
  report.version = applied.rbegin()->first;
  const std::string at = "the database's schema is at version " + std::to_string(report.version);
  for (const auto& [version, row] : applied) {
    if (row.oldest_program > program) {
      return {SchemaState::too_new, report.version,
              at + ", which needs a newer batchd than this one (migration " + row.name + "): update the program"};
    }
    const auto own = std::find_if(known.begin(), known.end(), [v = version](const Migration& m) { return m.version == v; });
    if (own != known.end() && own->checksum != row.checksum) {
      return {
          SchemaState::edited, report.version,
          "migration " + row.name + " was applied in a form that this program does not know: restore the file it was made from"};
    }
  }
  for (const Migration& migration : known) {
    if (!applied.contains(migration.version)) {
      return {SchemaState::older, report.version,
              at + ", this program needs " + std::string(migration.name) + ": run `batchd migrate`"};
    }
  }
  report.state = SchemaState::ok;
  report.sentence = at + ", as this program needs it";
  return report;
}

constexpr char create_record[] = R"(
  CREATE TABLE batchd.schema_migration (
    version        int PRIMARY KEY,
    name           text NOT NULL,
    checksum       text NOT NULL,
    oldest_program int NOT NULL,
    applied_at     timestamptz NOT NULL DEFAULT clock_timestamp()
  );
  COMMENT ON TABLE batchd.schema_migration IS 'What batchd migrate has applied')";

void apply(Transaction& tx, const Migration& migration) {
  tx.script(std::string(migration.sql));
  if (tx.run("SELECT to_regclass('batchd.schema_migration') IS NULL")[0][0].as<bool>()) tx.script(create_record);
  tx.run("INSERT INTO batchd.schema_migration (version, name, checksum, oldest_program) VALUES ($1, $2, $3, $4)",
         migration.version, std::string(migration.name), std::string(migration.checksum), migration.oldest_program);
}

/// Grants whatever the roles need, and tells what only an administrator can do.
std::string grant(Transaction& tx) {
  std::string sql;
  for (const auto& row : tx.run("SELECT unnest(batchd.apply_grants())")) {
    sql += "CREATE ROLE " + row[0].as<std::string>() + " NOLOGIN;\n";
  }
  if (!sql.empty()) sql += "SELECT batchd.apply_grants();\n";
  return sql;
}

/// An answer may hold any character, and one that the database has no place for would keep its shard from ever being merged.
void expect_room_for_every_character(Transaction& tx) {
  const auto encoding = tx.run("SELECT current_setting('server_encoding')")[0][0].as<std::string>();
  if (encoding == "UTF8" || encoding == "SQL_ASCII") return;
  throw StoreError("the database's encoding is " + encoding +
                   ", which cannot hold every answer: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0");
}

}  // namespace

Migrator::Migrator(Database& database, std::vector<Migration> migrations, int program)
    : database_(database), migrations_(std::move(migrations)), program_(program) {}

SchemaReport Migrator::check() {
  return transact(database_, [&](Transaction& tx) { return judge(read_applied(tx), migrations_, program_); });
}

MigrationReport Migrator::migrate() {
  return transact(
      database_,
      [&](Transaction& tx) {
        tx.run("SELECT pg_advisory_xact_lock(hashtext('batchd.migrate'))");
        MigrationReport report;
        const auto applied = read_applied(tx);
        report.schema = judge(applied, migrations_, program_);
        if (report.schema.state == SchemaState::edited || report.schema.state == SchemaState::too_new) return report;
        if (applied.empty()) expect_room_for_every_character(tx);
        for (const Migration& migration : migrations_) {
          if (applied.contains(migration.version)) continue;
          apply(tx, migration);
          report.applied.emplace_back(migration.name);
        }
        report.administrator_sql = grant(tx);
        report.schema = judge(read_applied(tx), migrations_, program_);
        return report;
      },
      database_.settings().bulk_timeout);
}

}  // namespace batchd
