// The one place that includes libpqxx and knows how its versions differ: 6.4 (Debian 12) and 7.x (Debian 13, Ubuntu 24.04).
// Everything else in db/ speaks through these few functions.
#pragma once

// libpqxx 6.4 spells deprecated parts of the standard library, and 7.10 deprecates exec_params, which both have.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <pqxx/pqxx>
#pragma GCC diagnostic pop

#include <memory>
#include <string>
#include <utility>

namespace batchd::compat {

using Connection = std::shared_ptr<pqxx::connection>;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
/// A connection whose notices go nowhere.
struct QuietConnection {
  explicit QuietConnection(const std::string& conninfo) : connection(conninfo), quiet(connection) {}
  pqxx::connection connection;
  pqxx::quiet_errorhandler quiet;
};
#pragma GCC diagnostic pop

/// `notices`: the server's notices and warnings are printed on stderr, as libpq does.
inline Connection connect(const std::string& conninfo, bool notices) {
  Connection connection;
  if (notices) {
    connection = std::make_shared<pqxx::connection>(conninfo);
  } else {
    const auto quiet = std::make_shared<QuietConnection>(conninfo);
    connection = Connection(quiet, &quiet->connection);
  }
#if PQXX_VERSION_MAJOR < 7
  // 6.x would reconnect behind our back, in the middle of what was one session; a broken connection is to say so.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection->inhibit_reactivation(true);
#pragma GCC diagnostic pop
#endif
  return connection;
}

/// The socket underneath, for a Watchdog.
inline int socket_of(pqxx::connection& connection) {
  return connection.sock();
}

/// A statement with parameters, unnamed (nothing stays on the server, as a PgBouncer in transaction mode needs).
template <class... Args>
pqxx::result execute(pqxx::work& transaction, const char* sql, Args&&... args) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  return transaction.exec_params(sql, std::forward<Args>(args)...);
#pragma GCC diagnostic pop
}

/// Statements without parameters or rows of interest, several in one round trip.
inline void execute_script(pqxx::work& transaction, const std::string& sql) {
  transaction.exec(sql);
}

}  // namespace batchd::compat
