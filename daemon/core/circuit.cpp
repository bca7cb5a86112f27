#include "core/circuit.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// How soon to look again while a probe is out: it is usually answered at once.
constexpr Milliseconds glance{5'000};

}  // namespace

Milliseconds Circuit::withheld_for(TimePoint now) const {
  if (!until_) return Milliseconds{0};
  if (now < *until_) return std::chrono::ceil<Milliseconds>(*until_ - now);
  return std::clamp(std::chrono::ceil<Milliseconds>(probe_ends_ - now), Milliseconds{0}, glance);
}

Circuit::Permit Circuit::permit(TimePoint now) {
  if (!until_) return Permit::call;
  if (withheld_for(now) > Milliseconds{0}) return Permit::none;
  probe_ends_ = now + backoff(policy_.open, openings_, seed_);
  return Permit::probe;
}

void Circuit::succeeded(TimePoint now) {
  if (until_ && now < *until_) return;
  failures_ = until_ ? policy_.opens_after - 1 : 0;
  if (!until_) openings_ = 0;
  until_.reset();
  probe_ends_ = {};
}

bool Circuit::failed(TimePoint now, std::optional<Milliseconds> asked, bool at_once) {
  if (until_ && now < *until_) return false;
  ++failures_;
  if (!until_ && failures_ < policy_.opens_after && !at_once) return false;
  ++openings_;
  if (asked) asked = std::min(*asked, policy_.most_asked);
  until_ = now + backoff(policy_.open, openings_, seed_, asked);
  probe_ends_ = {};
  return true;
}

}  // namespace batchd
