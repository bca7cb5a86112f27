// Which shard to build next: a pure choice from what waits and what each deployment can take.
#pragma once

#include "core/planning.hpp"
#include "core/types.hpp"

#include <optional>
#include <string>
#include <vector>

namespace batchd {

/// A deployment as the packer sees it: its load, and the largest file it may be given.
struct PackTarget {
  DeploymentLoad load;
  std::int64_t max_requests = 0;
  Bytes max_bytes = 0;
  Bytes bytes_per_request = 0;           ///< what a line adds to its body at this provider
  std::vector<std::string> endpoints{};  ///< that it takes; none: any
};

struct PackPolicy {
  Milliseconds linger{30'000};
  // Freed room is soon used when files are small against the quota; a small quota, whose batches may end sooner than files are
  // staged, is not cut into dust.
  int files_per_quota = 24;    ///< a file takes at most this fraction of what is believed of a deployment's quota …
  Tokens small_file = 20'000;  ///< … but up to so much in any case …
  int fewest_files = 4;        ///< … as long as that is not more than this fraction
  // Full files are kept ready beyond what is submitted, for when several batches end at once.
  int staged_files = 4;          ///< so many in any case
  int staged_fraction = 3;       ///< and up to this fraction of the believed quota
  int staged_most = 12;          ///< but no more files than this
  std::size_t max_flows = 1000;  ///< flows that may share a shard
};

/// Tokens that a file may have where so much is believed of the quota.
Tokens file_tokens(Tokens believed, const PackPolicy& policy);

/// The next shard worth building, or nothing: every lane is empty, still lingering, or has no deployment with space.
/// Flows go in order of priority, then deadline, then waiting time; flows of one lane may share a shard.
std::optional<PlanOrder> next_order(const std::vector<Flow>& flows, const std::vector<PackTarget>& targets,
                                    const PackPolicy& policy);

}  // namespace batchd
