#include "stages/close.hpp"

namespace batchd {

Task<int> CloseStage::run_once() {
  return lease_and_step(ShardState::merged);
}

Task<void> CloseStage::step(Shard shard) {
  Provider* const provider = context_.provider_of(shard);
  if (settings_.delete_remote_files && provider) {
    if (shard.state_age < settings_.remote_delay && !shard.hurried) {
      co_await postpone(shard, settings_.remote_delay - shard.state_age);
      co_return;
    }
    for (const auto& file : {shard.input_file, shard.output_file, shard.error_file}) {
      if (!file) continue;
      if (!context_.session.trusted(shard.lease)) co_return;
      const auto deleted = co_await provider->delete_file(*file);
      if (deleted.has_error()) {
        co_await delay(shard, "delete_file", deleted.error());
        co_return;
      }
    }
  }
  co_await advance(shard, Closed{});
}

}  // namespace batchd
