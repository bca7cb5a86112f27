// Upkeep that one replica at a time does for all: partitions made ahead of the ids, and what the store needs folded.
#pragma once

#include "stages/stage.hpp"

namespace batchd {

class SweepStage final : public Stage {
 public:
  explicit SweepStage(StageContext& context) : Stage("sweep", context, bell_, Milliseconds{15'000}) {}

 private:
  Task<int> run_once() override;
  Wakeup bell_;
};

}  // namespace batchd
