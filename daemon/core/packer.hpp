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
  int staged_ahead = 4;          ///< shards kept ready per deployment beyond what is submitted
  int shards_per_quota = 4;      ///< a file takes at most this fraction of a deployment's quota, so that freed room is soon used
  std::size_t max_flows = 1000;  ///< flows that may share a shard
};

/// The next shard worth building, or nothing: every lane is empty, still lingering, or has no deployment with space.
/// Flows go in order of priority, then deadline, then waiting time; flows of one lane may share a shard.
std::optional<PlanOrder> next_order(const std::vector<Flow>& flows, const std::vector<PackTarget>& targets,
                                    const PackPolicy& policy);

}  // namespace batchd
