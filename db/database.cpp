#include "db/database.hpp"

#include "db/transaction.hpp"

namespace batchd {

Database::Database(DatabaseSettings settings) : settings_(std::move(settings)), pools_(std::make_unique<Pools>()) {
  pools_->conninfo = make_conninfo(settings_.url, settings_.connect_timeout);
  pools_->listen_conninfo =
      settings_.listen_url.empty() ? pools_->conninfo : make_conninfo(settings_.listen_url, settings_.connect_timeout);
}

Database::~Database() = default;

std::string transaction_settings(Milliseconds statement_timeout) {
  const std::string timeout = std::to_string(statement_timeout.count());
  return "SELECT set_config('statement_timeout', '" + timeout +
         "', true), set_config('idle_in_transaction_session_timeout', '15000', true), set_config('jit', 'off', true),"
         " CASE WHEN current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
         " THEN set_config('synchronous_commit', 'on', true) END";
}

compat::Connection take_connection(Database& database) {
  Database::Pools& pools = database.pools();
  {
    const std::scoped_lock guard(pools.lock);
    if (!pools.idle.empty()) {
      auto connection = std::move(pools.idle.back());
      pools.idle.pop_back();
      return connection;
    }
  }
  return compat::connect(pools.conninfo, database.settings().notices);
}

void give_back(Database& database, compat::Connection connection) {
  Database::Pools& pools = database.pools();
  const std::scoped_lock guard(pools.lock);
  if (pools.idle.size() < database.settings().connections) pools.idle.push_back(std::move(connection));
}

}  // namespace batchd
