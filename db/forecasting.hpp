// What `submit --dry-run` asks of an installation: what is learned of a model, what waits for it, how long its batches take.
// Synchronous, for commands; nothing here writes.
#pragma once

#include "core/money.hpp"
#include "core/output_bound.hpp"
#include "db/database.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace batchd {

struct ModelOutlook {
  OutputSizes sizes;                       ///< of its answers
  std::optional<Milliseconds> turnaround;  ///< what half of its latest batches took at most, from submission to their end
  Tokens ahead = 0;                        ///< waiting or enqueued for it
};

/// Every method throws StoreError when the database cannot be used, or this user may not ask.
class Forecasting {
 public:
  explicit Forecasting(Database& database) : database_(database) {}

  ModelOutlook model(const std::string& model);
  /// Those of these keys that the job has already.
  std::set<std::string> known(const std::string& job, const std::vector<std::string>& keys);
  /// Under the newest configuration's daily cap, as it stands now; nothing without one.
  std::optional<CapState> day();

 private:
  Database& database_;
};

}  // namespace batchd
