// What people order while work is under way: cancel, retry, pause, resume, adopt. Synchronous, for commands; each order is one
// transaction of the SQL functions that anyone may also call from psql, and nothing here decides more than they do.
#pragma once

#include "core/types.hpp"
#include "db/database.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// What a cancel order concerned.
struct CancelCounts {
  std::int64_t concerned = 0;             ///< requests that were not settled and not to be cancelled already
  std::optional<std::int64_t> in_flight;  ///< of those: in flight, so that they end later; nothing when this user may not see it
};

struct PauseLine {
  std::string scope;                 ///< all | job:NAME | deployment:NAME
  std::string reason;                ///< `asked`, or why batchd itself paused the deployment
  std::optional<std::string> since;  ///< ISO 8601; nothing for batchd's own
  std::optional<std::string> until;  ///< nothing when only an order ends it
};

struct AcceptedLoss {
  std::int64_t shards = 0;
  std::int64_t batches = 0;
};

struct NewInstance {
  std::string id;
  std::int64_t shards = 0;      ///< given up
  std::int64_t unanswered = 0;  ///< requests in them that go back to the queue
};

/// Every method throws StoreError when the database cannot be used or refuses.
class Acting {
 public:
  explicit Acting(Database& database) : database_(database) {}

  /// False when no request is kept under this name.
  bool knows_job(std::string_view job);
  CancelCounts cancel_job(std::string_view job);
  /// False when it is settled already, or unknown.
  bool cancel_request(RequestId id);
  /// How many were queued again.
  std::int64_t retry_job(std::string_view job);
  /// False when it is unknown, not settled, or succeeded.
  bool retry_request(RequestId id);

  /// False when that very scope was paused already.
  bool pause(std::string_view scope);
  /// False when nothing was paused.
  bool resume(std::string_view scope);
  std::vector<PauseLine> pauses();
  std::vector<std::string> deployments();

  /// The same installation goes on where the database is now; true when it had moved.
  bool adopt();
  /// What was lost with its commits may be sent, and paid for, again.
  AcceptedLoss accept_loss();
  /// Refused (StoreError) while a replica was heard of less than `silence` ago.
  NewInstance adopt_as_new_instance(Milliseconds silence);

 private:
  Database& database_;
};

}  // namespace batchd
