#include "core/packer.hpp"

#include "core/tokens.hpp"

#include <algorithm>
#include <tuple>

namespace batchd {
namespace {

/// The bytes a shard may have so that its estimated tokens stay within its share of the quota.
Bytes bytes_within_quota(const PackTarget& target, const PackPolicy& policy) {
  const auto share = static_cast<double>(file_tokens(target.load.room.believed, policy));
  return std::max<Bytes>(1, static_cast<Bytes>(std::min(share / planned_tokens_per_byte, 1e15)));
}

/// Whether another full file is wanted there; one that is not full only where few wait.
bool wants_more(const DeploymentLoad& load, const PackPolicy& policy) {
  if (load.staged < policy.staged_files) return true;
  return load.staged < policy.staged_most && load.staged_tokens < load.room.believed / std::max(policy.staged_fraction, 1);
}

/// The deployment that is least filled, among those that take this lane and still want shards.
const PackTarget* emptiest(const std::vector<PackTarget>& targets, const Lane& lane, const PackPolicy& policy) {
  const PackTarget* best = nullptr;
  const auto fill = [](const PackTarget& t) {
    return static_cast<double>(t.load.reserved + t.load.staged_tokens) /
           static_cast<double>(std::max<Tokens>(t.load.room.believed, 1));
  };
  for (const PackTarget& target : targets) {
    if (target.load.model != lane.model || !has_endpoint(target.endpoints, lane.endpoint)) continue;
    if (target.load.paused || !wants_more(target.load, policy)) continue;
    if (!best || fill(target) < fill(*best)) best = &target;
  }
  return best;
}

bool goes_before(const Flow& a, const Flow& b) {
  const auto deadline = [](const Flow& f) { return f.deadline_in.value_or(Milliseconds::max()); };
  return std::tuple(-a.priority, deadline(a), -a.waiting) < std::tuple(-b.priority, deadline(b), -b.waiting);
}

struct LaneView {
  Lane lane;
  std::vector<const Flow*> flows;  // in order
  std::int64_t requests = 0;
  Bytes bytes = 0;
  Milliseconds waiting{0};
};

std::vector<LaneView> lanes_of(const std::vector<Flow>& flows) {
  std::vector<const Flow*> ordered;
  for (const Flow& flow : flows) {
    if (flow.requests + flow.returned > 0) ordered.push_back(&flow);
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const Flow* a, const Flow* b) { return goes_before(*a, *b); });
  std::vector<LaneView> lanes;
  for (const Flow* flow : ordered) {
    auto view = std::find_if(lanes.begin(), lanes.end(), [&](const LaneView& v) { return v.lane == flow->lane; });
    if (view == lanes.end()) view = lanes.insert(lanes.end(), LaneView{flow->lane, {}, 0, 0, Milliseconds{0}});
    view->flows.push_back(flow);
    view->requests += flow->requests + flow->returned;
    view->bytes += flow->bytes;
    view->waiting = std::max(view->waiting, flow->waiting);
  }
  return lanes;
}

}  // namespace

Tokens file_tokens(Tokens believed, const PackPolicy& policy) {
  const Tokens share = believed / std::max(policy.files_per_quota, 1);
  const Tokens floor = std::min(believed / std::max(policy.fewest_files, 1), policy.small_file);
  return std::max<Tokens>({share, floor, 1});
}

std::optional<PlanOrder> next_order(const std::vector<Flow>& flows, const std::vector<PackTarget>& targets,
                                    const PackPolicy& policy) {
  for (const LaneView& view : lanes_of(flows)) {
    const PackTarget* target = emptiest(targets, view.lane, policy);
    if (!target) continue;
    PlanOrder order;
    order.lane = view.lane;
    order.deployment = target->load.name;
    order.max_requests = target->max_requests;
    order.max_bytes = std::min(target->max_bytes, bytes_within_quota(*target, policy));
    order.bytes_per_request = target->bytes_per_request;
    order.tokens_per_byte = planned_tokens_per_byte;
    const Bytes file_bytes = view.bytes + view.requests * order.bytes_per_request;
    const bool full = view.requests >= order.max_requests || file_bytes >= order.max_bytes;
    // While files wait for room, a trickle gains nothing by leaving the queue, where it finds company.
    if (!full && (view.waiting < policy.linger || target->load.staged >= policy.staged_files)) continue;
    const std::size_t taken = std::min(view.flows.size(), policy.max_flows);
    for (std::size_t i = 0; i < taken; ++i) order.flows.push_back(view.flows[i]->id);
    return order;
  }
  return std::nullopt;
}

}  // namespace batchd
