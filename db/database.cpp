#include "db/database.hpp"

#include "db/transaction.hpp"

#include <algorithm>

namespace batchd {

Database::Database(DatabaseSettings settings) : settings_(std::move(settings)), pools_(std::make_unique<Pools>()) {
  pools_->conninfo = make_conninfo(settings_.url, settings_.connect_timeout);
  pools_->listen_conninfo =
      settings_.listen_url.empty() ? pools_->conninfo : make_conninfo(settings_.listen_url, settings_.connect_timeout);
}

Database::~Database() = default;

void Database::Pools::forget_all() {
  std::vector<Link<compat::Connection>> closing;
  std::vector<Link<BulkConnection>> closing_bulk;
  const std::scoped_lock guard(lock);
  ++generation;
  closing.swap(idle);
  closing_bulk.swap(idle_bulk);
}

std::string transaction_settings(Milliseconds statement_timeout) {
  const std::string timeout = std::to_string(statement_timeout.count());
  const std::string lock_timeout = std::to_string(std::max<std::int64_t>(1, statement_timeout.count() / 3));
  return "SELECT set_config('statement_timeout', '" + timeout + "', true), set_config('lock_timeout', '" + lock_timeout +
         "', true), set_config('idle_in_transaction_session_timeout', '15000', true), set_config('jit', 'off', true),"
         " CASE WHEN current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
         " THEN set_config('synchronous_commit', 'on', true) END";
}

Loan::Loan(Database& database, Milliseconds statement_timeout) : database_(database) {
  Database::Pools& pools = database.pools();
  if (auto idle = pools.take(pools.idle)) {
    link_ = std::move(*idle);
  } else {
    try {
      link_.generation = pools.current_generation();
      link_.connection = compat::connect(pools.conninfo, database.settings().notices);
    } catch (const pqxx::failure& error) {
      throw StoreError("database: " + connect_failure(error.what()));
    }
    link_.socket = Socket(compat::socket_of(*link_.connection));
  }
  watch_.emplace(pools.watchdog, link_.socket, statement_timeout + database.settings().answer_margin);
}

Loan::~Loan() {
  Database::Pools& pools = database_.pools();
  const bool broken = watch_->expired() || !link_.connection->is_open();
  watch_.reset();
  if (broken || read_only_) {
    pools.forget_all();
  } else if (worked_) {
    pools.give_back(pools.idle, std::move(link_), database_.settings().connections);
  }
}

void Loan::fail() {
  if (watch_->expired()) throw StoreError("database: " + no_answer(watch_->limit()));
  try {
    throw;
  } catch (const pqxx::sql_error& error) {
    read_only_ = error.sqlstate() == read_only_state;
    throw StoreError("database: " + first_line(error.what()));
  } catch (const std::exception& error) {
    throw StoreError("database: " + first_line(error.what()));
  }
}

std::string no_answer(Milliseconds limit) {
  return "no answer within " + std::to_string(limit.count()) + " ms: the connection was cut";
}

}  // namespace batchd
