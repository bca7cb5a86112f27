// An order as the planner would give it, for tests of stores: for the model `m` at the deployment `dep`.
#pragma once

#include "db/store.hpp"

#include <vector>

namespace batchd::testing {

/// For everything of that lane that waits, in the order of the backlog.
inline PlanOrder order_for(const std::vector<Flow>& backlog, std::int64_t max_requests) {
  PlanOrder order;
  order.lane = {"m", "/v1/chat/completions"};
  for (const Flow& flow : backlog) {
    if (flow.lane == order.lane) order.flows.push_back(flow.id);
  }
  order.deployment = "dep";
  order.max_requests = max_requests;
  order.max_bytes = 1'000'000'000;
  order.bytes_per_request = 100;
  order.tokens_per_byte = 0.5;
  return order;
}

}  // namespace batchd::testing
