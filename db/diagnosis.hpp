// What `doctor`, `batches` and `adopt` ask about an installation. Synchronous, for commands; nothing here writes, and every
// question is one short transaction, so that one that cannot be answered spoils no other.
#pragma once

#include "core/money.hpp"
#include "core/types.hpp"
#include "db/database.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace batchd {

struct ServerFacts {
  std::string version;     ///< such as "15.8 (Debian 15.8-1)"
  int version_number = 0;  ///< such as 150008
  bool standby = false;
  bool read_only = false;  ///< transactions are, unless they ask
  bool fsync = true;
  bool full_page_writes = true;
  std::string user;
  std::string synchronous_commit;  ///< of transactions that do not say; batchd's do
};

struct InstanceState {
  std::string id;
  bool moved = false;  ///< nothing may be submitted until it is adopted
};

/// Requests that were sent and paid for, and whose answers are lost with the commits that held them.
struct LossLine {
  std::string provider;
  std::string batch;
  std::int64_t requests = 0;
  std::string submitted;  ///< UTC, to the minute; "" when not known
};

struct ReplicaLine {
  std::string host;
  std::int64_t pid = 0;
  std::string version;
  Milliseconds silent{0};  ///< since its last heartbeat
};

struct DeploymentLine {
  std::string name;
  std::string provider;
  bool configured = false;  ///< named by the newest configuration
  Tokens limit = 0;
  Tokens reserved = 0;
  std::string pause;    ///< "" when submissions go on; `asked`, or why batchd itself paused it
  Tokens believed = 0;  ///< of the limit, what may be reserved as far as is known
};

struct WaitingLine {
  Lane lane;
  std::int64_t requests = 0;
  std::int64_t seconds = 0;  ///< how long the oldest has waited
};

/// The shard that knows a batch.
struct KnownBatch {
  std::int64_t shard = 0;
  int attempt = 0;
  std::string state;
};

/// Money of the present UTC day.
struct BudgetLine {
  NanoDollars spent = 0;
  NanoDollars reserved = 0;
  std::optional<NanoDollars> daily;  ///< the caps of the newest configuration
  std::optional<NanoDollars> per_job;
};

/// Every method throws StoreError when the database cannot be used, or this user may not ask.
class Diagnosis {
 public:
  explicit Diagnosis(Database& database) : database_(database) {}

  ServerFacts server();
  /// The quickest of a few.
  std::chrono::microseconds round_trip();
  /// How far the database's clock is ahead of this machine's.
  Milliseconds clock_ahead();
  /// What the daemon needs and this user may not do, in words; empty when nothing is missing.
  std::vector<std::string> missing_grants();
  /// Nothing when the role batchd_worker is not there.
  std::optional<bool> is_worker();
  InstanceState instance();
  /// Providers whose lists are not yet compared with the books.
  std::vector<std::string> unmatched();
  /// What is not sent again before a person says so.
  std::vector<LossLine> losses();
  std::vector<ReplicaLine> replicas();
  std::vector<DeploymentLine> deployments();
  std::vector<WaitingLine> waiting();
  std::int64_t submissions_unknown();
  BudgetLine budget();
  /// What waits for money, of one job or ("") of all; a bounded number.
  std::vector<MoneyWait> money_waits(const std::string& job = "");
  /// Those of the batches that a shard knows, closed ones included.
  std::map<std::string, KnownBatch> known(const std::vector<std::string>& batches);
  /// Ids of the files of a provider that our shards know of.
  std::unordered_set<std::string> files(const std::string& provider);

 private:
  Database& database_;
};

}  // namespace batchd
