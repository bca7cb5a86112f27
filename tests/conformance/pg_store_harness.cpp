// The store harness on PostgreSQL: a database of its own on the test binary's private cluster. Time goes by because everything
// that is dated there becomes older; a backup is a copy of every table in a schema beside.
#include "conformance/pg_store_harness.hpp"

#include <stdexcept>

namespace batchd::conformance {
namespace {

std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c;
    if (c == '\'') out += c;
  }
  return out + "'";
}

std::string interval(Milliseconds time) {
  return "(" + std::to_string(time.count()) + " * interval '1 ms')";
}

std::string name_of_table(const std::vector<std::string>& row) {
  return "\"" + row.at(0) + "\"";
}

/// Those of tests that are over. One that is used again is made as it was, which costs less than another one.
std::vector<std::string>& databases_at_hand() {
  static std::vector<std::string> names;
  return names;
}

std::string take_database() {
  auto& names = databases_at_hand();
  if (names.empty()) return testing::PgCluster::instance().fresh_database();
  std::string name = std::move(names.back());
  names.pop_back();
  return name;
}

}  // namespace

PgStoreHarness::PgStoreHarness() : name_(take_database()), began_(sql_.value("SELECT clock_timestamp()")) {
  // The tables as they are to be copied and aged: partitions through their parents.
  for (const auto& row : sql_.run("SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                                  "WHERE n.nspname = 'batchd' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1")) {
    tables_.push_back(name_of_table(row));
  }
  // A deadline is part of its flow's identity and is moved apart; marks are compared and never counted from.
  for (const auto& row :
       sql_.run("SELECT table_name, string_agg(format('%1$I = %1$I - {}', column_name), ', ') FROM information_schema.columns "
                "JOIN pg_class c ON c.oid = format('batchd.%I', table_name)::regclass "
                "WHERE table_schema = 'batchd' AND data_type = 'timestamp with time zone' AND c.relkind IN ('r', 'p') "
                "AND NOT c.relispartition AND column_name <> 'deadline' AND (table_name, column_name) NOT IN "
                "(('unmatched', 'since'), ('shard', 'wished_at'), ('stray', 'batch_created_at')) GROUP BY table_name ORDER BY "
                "table_name")) {
    dated_.push_back("UPDATE batchd." + name_of_table(row) + " SET " + row.at(1) + ";");
  }
  dated_.push_back(
      "UPDATE batchd.deployment SET leaving_until = ARRAY(SELECT until - {} FROM unnest(leaving_until) AS u (until));");
  if (sql_.value("SELECT to_regnamespace('pristine') IS NULL") == "t") {
    copy_to("pristine");
  } else {
    copy_from("pristine");
  }
  // As in a database that was made just now.
  sql_.run("UPDATE batchd.clock SET seen_at = clock_timestamp()");
}

PgStoreHarness::~PgStoreHarness() {
  databases_at_hand().push_back(name_);
}

std::unique_ptr<StoreHarness> make_postgresql_harness() {
  return std::make_unique<PgStoreHarness>();
}

// Producers and people ----------------------------------------------------------------------------------------------
std::vector<RequestId> PgStoreHarness::enqueue(const std::vector<Prompt>& prompts) {
  std::string values;
  for (const Prompt& p : prompts) {
    if (!values.empty()) values += ", ";
    values +=
        "(" + literal(p.model) + ", " + literal(p.endpoint) + ", " + literal(p.job) + ", nullif(" + literal(p.key) + ", ''), " +
        std::to_string(p.priority) + ", " +
        (p.deadline_in ? literal(began_) + "::timestamptz + " + interval(*p.deadline_in) : std::string("NULL::timestamptz")) +
        ", " + literal(p.body) + "::json)";
  }
  std::vector<RequestId> ids;
  for (const auto& row : sql_.run("INSERT INTO batchd.request (model, endpoint, job, key, priority, deadline, body) VALUES " +
                                  values + " RETURNING id")) {
    ids.push_back(RequestId{std::stoll(row[0])});
  }
  return ids;
}

bool PgStoreHarness::cancel_request(RequestId id) {
  return sql_.value("SELECT batchd.cancel_request(" + std::to_string(id.value) + ")") == "t";
}
std::int64_t PgStoreHarness::cancel_job(std::string_view job) {
  return sql_.number("SELECT batchd.cancel_job(" + literal(job) + ")");
}
bool PgStoreHarness::retry_request(RequestId id) {
  return sql_.value("SELECT batchd.retry_request(" + std::to_string(id.value) + ")") == "t";
}
std::int64_t PgStoreHarness::retry_job(std::string_view job) {
  return sql_.number("SELECT batchd.retry_job(" + literal(job) + ")");
}
std::int64_t PgStoreHarness::set_priority(std::string_view job, int priority) {
  return sql_.number("SELECT batchd.set_priority(" + literal(job) + ", " + std::to_string(priority) + ")");
}
void PgStoreHarness::pause(std::string_view scope) {
  sql_.run("SELECT batchd.pause(" + literal(scope) + ")");
}
bool PgStoreHarness::resume(std::string_view scope) {
  return sql_.value("SELECT batchd.resume(" + literal(scope) + ")") == "t";
}
AcceptedLoss PgStoreHarness::accept_loss() {
  const auto row = sql_.run("SELECT shards, batches FROM batchd.accept_loss()").at(0);
  return {std::stoll(row[0]), std::stoll(row[1])};
}
void PgStoreHarness::move() {
  sql_.run("UPDATE batchd.instance SET database_oid = 1");
  ++moves_;
}
void PgStoreHarness::adopt() {
  sql_.run("SELECT batchd.adopt()");
}

// Time and history --------------------------------------------------------------------------------------------------
void PgStoreHarness::age(Milliseconds time) {
  std::string statements;
  for (std::string statement : dated_) {
    for (std::size_t at; (at = statement.find("{}")) != std::string::npos;) statement.replace(at, 2, interval(time));
    statements += statement;
  }
  if (sql_.value("SELECT EXISTS (SELECT FROM batchd.request WHERE deadline IS NOT NULL)") == "t") {
    if (time % std::chrono::minutes(1) != Milliseconds{0})
      throw std::logic_error("where there are deadlines, whole minutes pass");
    statements += deadlines_moved(time);
  }
  // Days of money are dates: whole ones pass.
  if (const auto days = std::chrono::floor<std::chrono::days>(time).count(); days != 0) {
    for (const char* table : {"money_day", "money_deployment", "shard_money"})
      statements +=
          std::string("UPDATE batchd.") + table + " SET day = day - " + std::to_string(days) + " WHERE day IS NOT NULL;";
  }
  sql_.run("BEGIN;" + statements + "COMMIT");
}

/// A flow's id is a hash of what its requests have in common, their minute of deadline too: every row that names it follows.
std::string PgStoreHarness::deadlines_moved(Milliseconds time) {
  const std::string by = interval(time);
  std::string statements =
      "CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT DISTINCT flow, batchd.flow_of(model, endpoint, job, priority, deadline "
      "- " +
      by +
      ") AS later FROM (SELECT batchd.flow_of(model, endpoint, job, priority, deadline) AS flow, model, endpoint, job, priority, "
      "date_bin('1 minute', deadline, 'epoch') AS deadline FROM batchd.request WHERE deadline IS NOT NULL) d;";
  for (const char* table : {"queue", "retry", "delta", "flow_cursor", "shard_member", "flow"}) {
    // In two steps, as one flow's later name may be another's present one.
    const std::string update = std::string("UPDATE batchd.") + table + " t SET flow = ";
    statements +=
        update + "~m.later FROM moved m WHERE t.flow = m.flow;" + update + "m.later FROM moved m WHERE t.flow = ~m.later;";
  }
  for (const char* table : {"request", "delta", "flow", "shard"}) {
    statements += std::string("UPDATE batchd.") + table + " SET deadline = deadline - " + by + " WHERE deadline IS NOT NULL;";
  }
  return statements;
}

void PgStoreHarness::pass(Milliseconds time) {
  age(time);
  went_by_ += time;
  aged_ += time;
}

void PgStoreHarness::set_clock(Milliseconds by) {
  age(by);
  aged_ += by;
}

Burial PgStoreHarness::bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) {
  if (last) last = *last - went_by_;
  return wait(stores_[0].bury_dead(ttl, last));
}

/// Keeps every row, and where the sequences are, in a schema beside.
void PgStoreHarness::copy_to(const std::string& schema) {
  std::string statements = "DROP SCHEMA IF EXISTS " + schema + " CASCADE; CREATE SCHEMA " + schema + ";";
  for (const std::string& table : tables_) {
    statements += "CREATE TABLE " + schema + "." + table + " AS TABLE batchd." + table + ";";
  }
  statements += "CREATE TABLE " + schema +
                ".numbers AS SELECT (SELECT last_value FROM batchd.request_id) AS request, (SELECT is_called FROM "
                "batchd.request_id) AS request_called, (SELECT last_value FROM batchd.shard_id) AS shard, (SELECT is_called FROM "
                "batchd.shard_id) AS shard_called;";
  sql_.run("BEGIN;" + statements + "COMMIT");
}

void PgStoreHarness::copy_from(const std::string& schema) {
  std::string statements = "SET LOCAL session_replication_role = replica;";
  for (const std::string& table : tables_) {
    statements += "DELETE FROM batchd." + table + "; INSERT INTO batchd." + table + " OVERRIDING SYSTEM VALUE TABLE " + schema +
                  "." + table + ";";
  }
  statements +=
      "SELECT setval('batchd.request_id', request, request_called), setval('batchd.shard_id', shard, shard_called) FROM " +
      schema + ".numbers;";
  sql_.run("BEGIN;" + statements + "COMMIT");
}

void PgStoreHarness::backup() {
  copy_to("backup");
  aged_at_backup_ = aged_;
  moves_at_backup_ = moves_;
  promotions_at_backup_ = promotions_;
}

void PgStoreHarness::restore() {
  copy_from("backup");
  age(aged_ - aged_at_backup_);
  if (moves_ != moves_at_backup_) sql_.run("UPDATE batchd.instance SET database_oid = 1");
  if (promotions_ != promotions_at_backup_) sql_.run("UPDATE batchd.instance SET timeline = timeline + 1");
}

void PgStoreHarness::promote() {
  sql_.run("UPDATE batchd.instance SET timeline = timeline + 1");
  ++promotions_;
}

}  // namespace batchd::conformance
