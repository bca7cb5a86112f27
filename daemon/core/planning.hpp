// What the planner knows and what it decides: which flows of the queue become the next shard, and for whom.
// Values and pure functions; the store supplies the first and carries out the second.
#pragma once

#include "core/quota.hpp"
#include "core/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

struct DeploymentSettings {
  std::string name;
  std::string provider;
  std::string model;
  Tokens enqueued_token_limit = 0;
  Tokens dynamic_token_limit = 0;  ///< how far above that dynamic quota may be tried, 0: not at all
};

/// `/chat/completions` of `/v1/chat/completions`: producers may write either.
constexpr std::string_view bare_endpoint(std::string_view endpoint) {
  return endpoint.starts_with("/v1/") ? endpoint.substr(3) : endpoint;
}

/// Whether one is among them, which are bare; none are any.
bool has_endpoint(const std::vector<std::string>& endpoints, std::string_view endpoint);

/// What a deployment takes: requests for its model, at these endpoints.
struct Offer {
  std::string model;
  std::vector<std::string> endpoints;

  bool takes(const Lane& lane) const;
};
/// Whether any of them takes it. What nobody takes stays in the queue, to be seen, and is never sent.
bool is_offered(const std::vector<Offer>& offers, const Lane& lane);

/// A FIFO of the queue that has requests waiting.
struct Flow {
  FlowId id;
  Lane lane;
  std::string job;
  int priority = 0;
  std::int64_t requests = 0;                ///< queued, never sent; from counters
  Bytes bytes = 0;                          ///< of their bodies
  std::int64_t returned = 0;                ///< queued again and due now
  Milliseconds waiting{0};                  ///< how long the oldest one has waited
  std::optional<Milliseconds> deadline_in;  ///< until the requests' deadline, nothing when they have none
};

struct DeploymentLoad {
  std::string name;
  std::string provider;
  std::string model;
  Tokens limit = 0;
  Tokens reserved = 0;
  int staged = 0;  ///< shards planned or uploaded, not yet submitted
  Tokens staged_tokens = 0;
  int live = 0;  ///< shards with an open intent or submitted
  bool paused = false;
  std::string pause_reason;  ///< "" when not paused
  Room room;                 ///< what is believed of its quota
  Tokens leaving = 0;        ///< of batches that have ended and may still count
  Tokens largest_waiting = 0;
  bool needs_money = false;  ///< requests for its model wait because a cap has no room for them

  RoomUse use() const { return {reserved, leaving, largest_waiting}; }
};

/// What the planner wants: the next requests of these flows, in this order, up to every limit.
struct PlanOrder {
  Lane lane;
  std::vector<FlowId> flows;
  std::string deployment;
  std::int64_t max_requests = 0;
  Bytes max_bytes = 0;          ///< of the file, `bytes_per_request` included
  Bytes bytes_per_request = 0;  ///< what a line adds to its body
  double tokens_per_byte = 0;   ///< estimate used until the bodies are read; tokens = bytes * this
};

}  // namespace batchd
