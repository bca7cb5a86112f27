// LISTEN on a connection of its own, so that a producer's commit shortens the daemon's wait. Only a shortcut: when it cannot
// be had (a PgBouncer, a lost connection) waiting lasts as long as asked, and nothing else is different.
#pragma once

#include "db/bulk.hpp"
#include "runtime/blocking_pool.hpp"
#include "runtime/task.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <optional>

namespace batchd {

class HintListener {
 public:
  explicit HintListener(Database& database) : database_(database) {}

  /// True when a hint came within `most`. Ends at once when the task is cancelled. One caller at a time.
  Task<bool> wait(BlockingPool& pool, Milliseconds most);

 private:
  /// Takes in what has arrived; true when a hint was among it. Drops a connection that is lost.
  bool collect();

  Database& database_;
  BulkConnection connection_;
  std::optional<asio::posix::stream_descriptor> socket_;  // a duplicate, so that closing it leaves libpq's alone
};

}  // namespace batchd
