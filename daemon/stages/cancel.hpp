// Requests that were cancelled while they are in flight: tells their shards, and cancels a batch at the provider when nothing
// else in it is wanted. What the provider answers all the same is paid for and wins; the merge settles the rest as cancelled.
// A shard that is not submitted yet is given up by the stage that finds it so. One replica at a time does this for all.
#pragma once

#include "stages/stage.hpp"

#include <map>

namespace batchd {

class CancelStage final : public Stage {
 public:
  explicit CancelStage(StageContext& context) : Stage("cancel", context, context.bells.cancel, Milliseconds{5000}) {}

 private:
  Task<int> run_once() override;
  Task<void> act_upon(const WishedBatch& wished);

  std::map<ShardId, Clock::TimePoint> again_at_;  // after a failed call
};

}  // namespace batchd
