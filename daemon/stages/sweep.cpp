#include "stages/sweep.hpp"

namespace batchd {

Task<int> SweepStage::run_once() {
  const bool ours = co_await context_.store.hold_role(context_.session.term(), "sweep");
  if (ours) co_await context_.store.maintain();
  co_return 0;
}

}  // namespace batchd
