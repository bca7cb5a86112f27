// merged ─▶ closed. Deletes the remote files that are no longer needed, after the merge was committed.
#pragma once

#include "stages/stage.hpp"

namespace batchd {

struct CloseSettings {
  bool delete_remote_files = true;
  Milliseconds remote_delay{0};
};

class CloseStage final : public Stage {
 public:
  CloseStage(StageContext& context, CloseSettings settings)
      : Stage("close", context, context.bells.close, Milliseconds{5000}), settings_(settings) {}

 private:
  Task<int> run_once() override;
  Task<void> step(Shard shard) override;

  CloseSettings settings_;
};

}  // namespace batchd
