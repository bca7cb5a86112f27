// LISTEN on a connection of its own, so that a producer's commit shortens the daemon's wait. Only a shortcut: when it cannot
// be had (a PgBouncer, a lost connection) waiting lasts as long as asked, and nothing else is different. A connection that says
// nothing may be one that nobody speaks on any more, so it is asked every few seconds, and made again when it does not answer.
#pragma once

#include "db/bulk.hpp"
#include "runtime/blocking_pool.hpp"
#include "runtime/task.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <chrono>
#include <optional>

namespace batchd {

class HintListener {
 public:
  explicit HintListener(Database& database) : database_(database) {}

  /// True when a hint came within `most`. Ends at once when the task is cancelled. One caller at a time.
  Task<bool> wait(BlockingPool& pool, Milliseconds most);

 private:
  /// Connects when there is no connection, makes sure that an old one still listens.
  Task<void> see_to_connection(BlockingPool& pool);
  /// Takes in what has arrived; true when a hint was among it. Drops a connection that is lost.
  bool collect();
  void drop();

  Database& database_;
  std::optional<Link<BulkConnection>> link_;
  std::optional<asio::posix::stream_descriptor> socket_;  // a duplicate, so that closing it leaves libpq's alone
  std::chrono::steady_clock::time_point checked_{};
};

}  // namespace batchd
