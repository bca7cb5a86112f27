// Upkeep that one replica at a time does for all: partitions made ahead of the ids, counters folded, and what was settled
// long ago removed.
#pragma once

#include "stages/stage.hpp"

namespace batchd {

struct SweepSettings {
  Milliseconds settled{0};  ///< how long a settled request is kept
};

class SweepStage final : public Stage {
 public:
  SweepStage(StageContext& context, SweepSettings settings)
      : Stage("sweep", context, bell_, Milliseconds{15'000}), settings_(settings) {}

 private:
  Task<int> run_once() override;

  SweepSettings settings_;
  Clock::TimePoint retired_{};  // when a look found nothing more to remove
  Wakeup bell_;
};

}  // namespace batchd
