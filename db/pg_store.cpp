// Replicas, roles, the instance and the configured deployments.
#include "db/pg_store.hpp"

#include "db/hint_listener.hpp"
#include "db/migrator.hpp"
#include "db/pg_store_money.hpp"
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

#include <stdexcept>

namespace batchd {
namespace {

void leave_all(Database& database, Term term) {
  transact(database, [&](Transaction& tx) {
    tx.run(queries::release_shards, term.value);
    tx.run(queries::release_roles, term.value);
    tx.run(queries::remove_replica, term.value);
  });
}

bool take_role(Database& database, Term term, const std::string& role) {
  return transact(database, [&](Transaction& tx) {
    return !tx.run(queries::holds_role, term.value, role).empty() || !tx.run(queries::take_role, term.value, role).empty();
  });
}

Burial bury(Database& database, Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) {
  return transact(database, [&](Transaction& tx) {
    std::int64_t since = -1;
    if (last) since = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - *last).count();
    const Milliseconds step{tx.run(queries::mend_clock, ttl.count(), since)[0][0].as<std::int64_t>()};
    const auto buried = static_cast<int>(tx.run(queries::bury_dead, ttl.count()).affected_rows());
    if (buried > 0) tx.run(queries::suspect_all_orphans);
    return Burial{buried, step};
  });
}

std::string read_instance(Database& database) {
  return transact(database, [](Transaction& tx) {
    const auto rows = tx.run(queries::instance_id);
    if (rows.empty()) throw StoreError("database: batchd.instance is empty: run `batchd migrate`");
    return rows[0][0].as<std::string>();
  });
}

bool publish_all(Database& database, Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money) {
  return transact(database, [&](Transaction& tx) {
    const auto next = tx.run(queries::next_generation, term.value);
    if (next.empty()) return false;
    const auto generation = next[0][0].as<std::int64_t>();
    for (const DeploymentSettings& d : deployments) {
      tx.run(queries::publish_deployment, d.name, d.provider, d.model, d.enqueued_token_limit, generation, d.dynamic_token_limit);
    }
    tx.run(queries::retire_deployments, generation);
    publish_money(tx, money);
    return true;
  });
}

/// A statement whose only answer is how many rows it touched.
template <class... Args>
std::int64_t touch(Database& database, const char* sql, const Args&... args) {
  return transact(database, [&](Transaction& tx) { return static_cast<std::int64_t>(tx.run(sql, args...).affected_rows()); });
}

std::vector<std::string> retry_at_once(Database& database, const std::string& provider) {
  return transact(database, [&](Transaction& tx) {
    std::vector<std::string> lifted;
    for (const auto& row : tx.run(queries::lift_account_pauses, provider)) lifted.push_back(row[0].as<std::string>());
    for (const std::string& deployment : lifted) tx.run(queries::hurry_shards, deployment);
    return lifted;
  });
}

void check_schema(Database& database) {
  const SchemaReport report = Migrator(database).check();
  if (!report.ok()) throw StoreError(report.sentence);
}

}  // namespace

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += digits[byte >> 4U];
    hex += digits[byte & 15U];
  }
  return hex;
}

PgStore::PgStore(Database& database, BlockingPool& pool, Metrics& metrics, HeartbeatWay heartbeat)
    : database_(database),
      pool_(pool),
      metrics_(metrics),
      heartbeat_(heartbeat),
      hints_(std::make_unique<HintListener>(database)) {}

PgStore::~PgStore() = default;

Task<void> PgStore::leave(Term term) {
  return run([&db = database_, &beats = beats_, term] {
    leave_all(db, term);
    beats.forget(term);
  });
}

Task<Burial> PgStore::bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) {
  return run_on(heartbeat_.pool, [&db = heartbeat_.database, ttl, last] { return bury(db, ttl, last); });
}

Task<bool> PgStore::hold_role(Term term, std::string_view role) {
  return run([&db = database_, term, name = std::string(role)] { return take_role(db, term, name); });
}

Task<void> PgStore::drop_role(Term term, std::string_view role) {
  return run([&db = database_, term, name = std::string(role)] { touch(db, queries::drop_role, term.value, name); });
}

Task<bool> PgStore::has_moved() {
  return run(
      [&db = database_] { return transact(db, [](Transaction& tx) { return tx.run(queries::has_moved)[0][0].as<bool>(); }); });
}

Task<std::string> PgStore::instance_id() {
  return run_on(heartbeat_.pool, [&db = heartbeat_.database] { return read_instance(db); });
}

Task<bool> PgStore::publish(Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money) {
  return run([&db = database_, term, deployments, money] { return publish_all(db, term, deployments, money); });
}

Task<void> PgStore::pause_deployment(Term term, std::string_view deployment, std::string_view reason, Milliseconds duration,
                                     Milliseconds longest) {
  return run([&db = database_, term, name = std::string(deployment), why = std::string(reason), duration, longest] {
    touch(db, queries::pause_deployment, name, why, duration.count(), longest.count(), term.value);
  });
}

Task<std::vector<std::string>> PgStore::retry_account(std::string_view provider) {
  return run([&db = database_, name = std::string(provider)] { return retry_at_once(db, name); });
}

Task<void> PgStore::ping() {
  return run([&db = database_] { check_schema(db); });
}

Task<bool> PgStore::wait_for_hint(Milliseconds most) {
  return hints_->wait(pool_, most);
}

}  // namespace batchd
