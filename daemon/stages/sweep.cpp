#include "stages/sweep.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// Judging a partition may read its index whole, so that is not done at every pass.
constexpr Milliseconds longest_retire_interval{300'000};

}  // namespace

Task<int> SweepStage::run_once() {
  const bool ours = co_await context_.store.hold_role(context_.session.term(), "sweep");
  if (!ours) co_return 0;
  co_await context_.store.maintain();
  if (context_.clock.now() - retired_ >= std::min(settings_.settled, longest_retire_interval)) {
    const bool more = co_await context_.store.retire(context_.session.term(), settings_.settled);
    if (more) co_return 1;
    retired_ = context_.clock.now();
  }
  co_return 0;
}

}  // namespace batchd
