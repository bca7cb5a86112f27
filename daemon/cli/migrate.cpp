#include "cli/context.hpp"
#include "db/migrator.hpp"

#include <boost/json.hpp>

namespace batchd {
namespace {

std::string_view word(SchemaState state) {
  switch (state) {
    case SchemaState::ok:
      return "ok";
    case SchemaState::absent:
      return "absent";
    case SchemaState::older:
      return "older";
    case SchemaState::edited:
      return "edited";
    case SchemaState::too_new:
      return "too_new";
  }
  return "unknown";
}

void print_json(const MigrationReport& report) {
  boost::json::object out{
      {"state", word(report.schema.state)}, {"version", report.schema.version}, {"sentence", report.schema.sentence}};
  out["applied"] = boost::json::array(report.applied.begin(), report.applied.end());
  out["administrator_sql"] = report.administrator_sql;
  print(boost::json::serialize(out) + "\n");
}

void print_text(const MigrationReport& report) {
  for (const std::string& name : report.applied) print("applied " + name + "\n");
  if (!report.administrator_sql.empty()) {
    say("batchd: this user may not do everything; an administrator must run the following SQL once:");
    print(report.administrator_sql);
  }
  say(report.schema.sentence);
}

}  // namespace

int run_migrate(const CommonOptions& common, const MigrateOptions& options) {
  DatabaseSettings settings = database_settings(common);
  // --database-url means this database, whatever the file calls the owner's connection.
  if (common.database_url.empty()) settings.url = require_config(common, ConfigScope::database).config.database.migrate_url;
  Database database(settings);
  Migrator migrator(database);
  MigrationReport report;
  if (options.check) {
    report.schema = migrator.check();
  } else {
    report = migrator.migrate();
  }
  options.json ? print_json(report) : print_text(report);
  return report.schema.ok() ? exit_ok : exit_schema;
}

}  // namespace batchd
