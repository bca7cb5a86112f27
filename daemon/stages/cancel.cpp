#include "stages/cancel.hpp"

namespace batchd {
namespace {

constexpr int most_wishes = 5000;
constexpr int most_batches = 20;
constexpr Milliseconds retry_in{30'000};

}  // namespace

Task<int> CancelStage::run_once() {
  if (!co_await context_.store.hold_role(context_.session.term(), "cancel")) co_return 0;
  const std::int64_t placed = co_await context_.store.place_wishes(most_wishes);
  if (placed > 0) {
    context_.bells.upload.notify();
    context_.bells.submit.notify();
  }
  const std::vector<WishedBatch> wished = co_await context_.store.wished_batches(most_batches);
  if (wished.empty()) again_at_.clear();
  for (const WishedBatch& batch : wished) {
    const auto later = again_at_.find(batch.batch.shard);
    if (later != again_at_.end() && later->second > context_.clock.now()) continue;
    if (!context_.session.trusted()) break;
    co_await act_upon(batch);
  }
  co_return placed == most_wishes ? 1 : 0;
}

Task<void> CancelStage::act_upon(const WishedBatch& wished) {
  const ShardId shard = wished.batch.shard;
  const auto provider = context_.providers.find(wished.provider);
  if (wished.wanted == 0 && provider != context_.providers.end()) {
    const auto cancelled = co_await provider->second->cancel_batch(wished.batch.batch);
    // A batch that is over, or gone, has nothing left to cancel: polling will see it.
    const bool over = cancelled.has_error() &&
                      (cancelled.error().kind == ErrorKind::conflict || cancelled.error().kind == ErrorKind::not_found);
    if (cancelled.has_error() && !over) {
      again_at_[shard] = context_.clock.now() + retry_in;
      context_.log.warn("batch.cancel_failed", {{"shard", shard.value},
                                                {"batch", wished.batch.batch.value},
                                                {"kind", to_string(cancelled.error().kind)},
                                                {"status", cancelled.error().status},
                                                {"message", cancelled.error().message}});
      co_return;
    }
    context_.log.info("batch.cancelled", {{"shard", shard.value}, {"batch", wished.batch.batch.value}, {"over", over}});
  }
  again_at_.erase(shard);
  co_await context_.store.forget_wished(wished);
}

}  // namespace batchd
