// The way to PostgreSQL: where it is, and a few connections that outlive a transaction. The application owns one Database
// and threads of a BlockingPool share it; a connection that met an error is thrown away, never mended, and when the server or
// the way to it is gone (or the server cannot be written to any more) the idle ones go with it. It keeps no session state (no
// prepared statements, no SET without LOCAL), so that a PgBouncer in transaction mode may stand in between.
#pragma once

#include "core/types.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace batchd {

struct DatabaseSettings {
  std::string url;              ///< a libpq URL or keyword list; may hold a secret, and is never repeated in an error
  std::string listen_url;       ///< for LISTEN when `url` is a PgBouncer; "" for the same as `url`
  std::size_t connections = 4;  ///< idle connections kept; as many as the pool has threads
  bool notices = false;         ///< print the server's notices on stderr: for commands, not for a daemon's log
  Milliseconds connect_timeout{5'000};
  Milliseconds statement_timeout{30'000};
  Milliseconds bulk_timeout{300'000};  ///< for COPY of a shard's bodies, a chunk's answers, a producer's chunk
  Milliseconds answer_margin{5'000};   ///< a server that has not answered so long after a time-out is cut off
};

class Database {
 public:
  /// Connects to nothing yet. Throws std::invalid_argument when the URL cannot be read, without repeating it.
  explicit Database(DatabaseSettings settings);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const DatabaseSettings& settings() const { return settings_; }

  struct Pools;  ///< the connections themselves: db/transaction.hpp and db/bulk.hpp know them
  Pools& pools() { return *pools_; }

 private:
  DatabaseSettings settings_;
  std::unique_ptr<Pools> pools_;
};

}  // namespace batchd
