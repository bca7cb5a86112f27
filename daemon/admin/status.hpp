// What a replica shows of itself and of the whole database, as plain values that somebody else gathered: the admin layer
// neither knows a store nor waits for one. Rendering is pure: a snapshot in, text out.
#pragma once

#include "core/money.hpp"
#include "core/types.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace batchd {

struct DeploymentView {
  std::string name, provider, model;
  Tokens reserved = 0;
  Tokens limit = 0;
  Tokens believed = 0;      ///< of the limit, what may be held as far as is known
  std::int64_t staged = 0;  ///< shards planned or uploaded
  std::int64_t live = 0;    ///< shards submitted, or perhaps submitted
  std::string paused;       ///< the reason, "" when not paused; `budget` when requests wait for money
  NanoDollars cost_today = 0;
};

struct JobView {
  std::string job;
  std::int64_t queued = 0, in_flight = 0, succeeded = 0, failed = 0, cancelled = 0, expired = 0;
  Tokens input_tokens = 0, output_tokens = 0;
  NanoDollars cost = 0;

  std::int64_t settled() const { return succeeded + failed + cancelled + expired; }
  std::int64_t accepted() const { return queued + in_flight + settled(); }
};

/// Money of the present UTC day.
struct BudgetView {
  NanoDollars spent = 0;
  NanoDollars reserved = 0;
  std::optional<NanoDollars> daily;  ///< the cap
};

struct StatusSnapshot {
  std::string version, instance, replica;
  Milliseconds uptime{0};
  /// How old the numbers of the database are; nothing when there are none yet.
  std::optional<Milliseconds> age;

  std::int64_t accepted = 0, queued = 0, in_flight = 0;
  std::map<std::string, std::int64_t> settled;  ///< by outcome
  std::map<std::string, std::int64_t> shards;   ///< by state
  Milliseconds oldest_queued{0};
  std::int64_t submissions_unknown = 0;
  BudgetView budget;
  std::vector<DeploymentView> deployments;
  std::vector<JobView> jobs;                                     ///< a bounded number, unfinished ones first
  std::vector<std::pair<std::string, std::int64_t>> unroutable;  ///< queued requests by a model that nobody serves
};

/// What readiness depends on; never a provider.
struct Health {
  bool stopping = false;
  std::string schema_problem = "the schema has not been checked yet";  ///< a sentence, "" when the schema fits
  std::optional<Milliseconds> database_age;                            ///< since the last successful round trip
};

struct Readiness {
  bool ready = false;
  std::string reason;  ///< "" when ready
};

/// Ready when the schema fits, a round trip to the database succeeded less than 5 s ago, and nobody asked to stop.
Readiness judge(const Health& health);

/// Where the values come from. Called on the loop, for each page and probe: answers from memory, at once.
class StatusSource {
 public:
  virtual ~StatusSource() = default;
  virtual StatusSnapshot snapshot() const = 0;
  virtual Health health() const = 0;
};

std::string render_json(const StatusSnapshot& status, const Readiness& readiness);

/// The whole page; and its changing part alone, which the page's script asks for to replace the old one.
std::string render_page(const StatusSnapshot& status, const Readiness& readiness);
std::string render_page_body(const StatusSnapshot& status, const Readiness& readiness);

}  // namespace batchd
