#include "provider/call_guard.hpp"

#include "provider/provider.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace batchd {
namespace {

constexpr int failures_in_a_row = 5;

CircuitPolicy circuit_policy(const CallPolicy& policy, int opens_after) {
  CircuitPolicy out;
  out.opens_after = opens_after;
  out.open = policy.open;
  return out;
}

}  // namespace

CallGuard::CallGuard(std::string provider, const CallPolicy& policy, Clock& clock, Metrics& metrics, Log& log)
    : provider_(std::move(provider)),
      policy_(policy),
      seed_(std::hash<std::string>{}(provider_)),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      whole_(circuit_policy(policy, failures_in_a_row), seed_) {
  for (const auto& [operation, rate] : policy.rates) paces_.emplace(operation, CallPace(rate));
  metrics_.set_calls_withheld(provider_, false);
}

Milliseconds CallGuard::withheld_for(Operation operation) const {
  const auto now = clock_.now();
  const auto throttle = throttles_.find(operation);
  const Milliseconds own = throttle == throttles_.end() ? Milliseconds{0} : throttle->second.withheld_for(now);
  return std::max(own, whole_.withheld_for(now));
}

Task<ProviderResult<CallGuard::Turn>> CallGuard::turn(Operation operation) {
  const auto now = clock_.now();
  if (withheld_for(operation) > Milliseconds{0}) co_return refusal(operation);
  if (const auto throttle = throttles_.find(operation); throttle != throttles_.end()) throttle->second.permit(now);
  const Turn turn = whole_.permit(now) == Circuit::Permit::probe ? Turn::probe : Turn::call;
  if (const auto pace = paces_.find(operation); pace != paces_.end()) {
    const Milliseconds wait = pace->second.take(now);
    if (wait > Milliseconds{0}) co_await clock_.sleep_for(wait);
  }
  co_return turn;
}

ProviderError CallGuard::refusal(Operation operation) const {
  ProviderError error;
  error.kind = ErrorKind::not_sent;
  error.code = calls_withheld;
  error.retry_after = withheld_for(operation);
  error.message = whole_.open() ? "not called, because it does not answer: " + reason_
                                : "not called, because it has asked for fewer calls of this kind";
  return error;
}

void CallGuard::ended(Operation operation, const CallEnd& end) {
  const auto now = clock_.now();
  Circuit& throttle = throttles_.try_emplace(operation, circuit_policy(policy_, 1), seed_).first->second;
  if (end.throttled) {
    if (throttle.failed(now, end.retry_after)) {
      log_.warn("provider.throttled", {{"provider", provider_},
                                       {"operation", to_string(operation)},
                                       {"withheld_ms", throttle.withheld_for(now).count()},
                                       {"message", end.reason}});
    }
  } else if (end.answered) {
    throttle.succeeded(now);
  }
  const bool was_open = whole_.open();
  if (end.answered) {
    whole_.succeeded(now);
    if (was_open && !whole_.open()) log_.info("provider.answers", {{"provider", provider_}});
  } else {
    reason_ = end.reason;
    if (whole_.failed(now, end.retry_after, end.leave_it_alone)) {
      log_.warn("provider.unavailable", {{"provider", provider_},
                                         {"operation", to_string(operation)},
                                         {"withheld_ms", whole_.withheld_for(now).count()},
                                         {"message", reason_}});
    }
  }
  if (whole_.open() != was_open) metrics_.set_calls_withheld(provider_, whole_.open());
}

}  // namespace batchd
