#include "stages/plan.hpp"

#include "core/request_line.hpp"
#include "runtime/task_group.hpp"

#include <algorithm>
#include <chrono>

namespace batchd {
namespace {

using std::chrono::duration_cast;

constexpr Milliseconds hopeless_interval{10'000};
constexpr Milliseconds look_while_waiting{1000};
constexpr Milliseconds look_while_idle{5000};

}  // namespace

Task<int> PlanStage::run_once() {
  next_look_ = look_while_idle;
  if (!co_await context_.store.hold_role(context_.session.term(), "plan")) co_return 0;
  if (context_.clock.now() - hopeless_checked_ >= hopeless_interval) co_await settle_hopeless();
  if (context_.clock.now() - rooms_probed_ >= std::min(settings_.probe_after / 2, hopeless_interval)) co_await probe_rooms();

  std::vector<Flow> flows = co_await context_.store.backlog();
  if (flows.empty()) co_return 0;
  count_returned(flows);
  const std::vector<DeploymentLoad> loads = co_await context_.store.deployments();
  const auto order = next_order(flows, targets(loads, flows.front().lane.endpoint), settings_.policy);
  if (!order) {
    next_look_ = std::clamp(settings_.policy.linger / 4, Milliseconds{50}, look_while_waiting);
    co_return 0;
  }
  const auto planned = co_await context_.store.plan(context_.session.term(), *order);
  if (!planned) {
    next_look_ = look_while_waiting;
    co_return 0;
  }
  for (const FlowId flow : order->flows) returned_since_.erase(flow);
  context_.metrics.shard_planned(planned->requests);
  context_.log.info("shard.planned", {{"shard", planned->id.value},
                                      {"deployment", order->deployment},
                                      {"model", order->lane.model},
                                      {"requests", planned->requests},
                                      {"bytes", planned->bytes}});
  context_.bells.upload.notify();
  co_return 1;
}

Task<void> PlanStage::settle_hopeless() {
  std::vector<Offer> offers;
  const std::vector<DeploymentLoad> loads = co_await context_.store.deployments();
  for (const DeploymentLoad& load : loads) offers.push_back(offer_of(load));
  const int expired = co_await context_.store.expire_overdue(context_.session.term());
  const int unroutable = co_await context_.store.fail_unroutable(context_.session.term(), offers, settings_.unroutable_after);
  if (expired > 0) {
    context_.metrics.requests_settled(Outcome::expired, expired);
    context_.log.warn("requests.expired", {{"requests", expired}});
  }
  if (unroutable > 0) {
    context_.metrics.requests_settled(Outcome::failed, unroutable);
    context_.log.warn("requests.unroutable", {{"requests", unroutable}});
  }
  // A full bite means that there may be more: look again at the next pass.
  if (expired + unroutable == 0) hopeless_checked_ = context_.clock.now();
}

Task<void> PlanStage::probe_rooms() {
  rooms_probed_ = context_.clock.now();
  const std::vector<DeploymentLoad> loads = co_await context_.store.deployments();
  const RoomLesson lesson = RoomQuiet{settings_.probe_after};
  for (const DeploymentLoad& load : loads) {
    if (wants_quiet(load.room, load.use(), settings_.probe_after)) co_await learn(context_.session.term(), load.name, lesson);
  }
}

Offer PlanStage::offer_of(const DeploymentLoad& load) const {
  const auto route = context_.routes.find(load.name);
  if (route == context_.routes.end()) return {load.model, {}};
  return {load.model, route->second.provider->limits().endpoints};
}

std::vector<PackTarget> PlanStage::targets(const std::vector<DeploymentLoad>& loads, const std::string& endpoint) const {
  std::vector<PackTarget> targets;
  for (const DeploymentLoad& load : loads) {
    const auto route = context_.routes.find(load.name);
    if (route == context_.routes.end()) continue;
    const Provider& provider = *route->second.provider;
    const LineTarget line{provider.line_url(endpoint), provider.limits().model_is_deployment ? load.name : load.model,
                          route->second.max_bytes};
    targets.push_back(
        {load, route->second.max_requests, route->second.max_bytes, line_overhead(line), provider.limits().endpoints});
  }
  return targets;
}

/// Requests that came back wait for company too, but not longer than `linger` from when they were first due.
void PlanStage::count_returned(std::vector<Flow>& flows) {
  const auto now = context_.clock.now();
  std::map<FlowId, Clock::TimePoint> since;
  for (Flow& flow : flows) {
    if (flow.returned == 0) continue;
    const auto known = returned_since_.find(flow.id);
    const auto first = known == returned_since_.end() ? now : known->second;
    since[flow.id] = first;
    flow.waiting = std::max(flow.waiting, duration_cast<Milliseconds>(now - first));
  }
  returned_since_ = std::move(since);
}

Task<void> PlanStage::listen() {
  constexpr Milliseconds most{30'000};
  for (;;) {
    bool hint = false;
    bool failed = false;
    try {
      hint = co_await context_.store.wait_for_hint(most);
    } catch (const StoreError&) {
      failed = true;  // polling goes on; the other loops report what is wrong with the database
    }
    if (hint) {
      context_.bells.plan.notify();
      context_.bells.submit.notify();  // something may have been resumed
      context_.bells.cancel.notify();
    }
    co_await context_.clock.sleep_for(failed ? Milliseconds{5000} : Milliseconds{0});
  }
}

}  // namespace batchd
