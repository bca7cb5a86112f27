#include "stages/sweep.hpp"

namespace batchd {
namespace {

/// Judging a partition may read its index whole, so that is not done at every pass.
constexpr std::chrono::minutes retire_interval{5};

}  // namespace

Task<int> SweepStage::run_once() {
  const bool ours = co_await context_.store.hold_role(context_.session.term(), "sweep");
  if (!ours) co_return 0;
  co_await context_.store.maintain();
  if (context_.clock.now() - retired_ >= retire_interval) {
    const bool more = co_await context_.store.retire(settings_.settled);
    if (more) co_return 1;
    retired_ = context_.clock.now();
  }
  co_return 0;
}

}  // namespace batchd
