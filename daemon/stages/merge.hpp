// finished ─▶ merged. Streams the output file and then the error file, and decides every member of the shard: successes as
// they come, failures only when both files were read whole (so that a success wins), and last the members that neither file
// mentions. Each chunk is one transaction under the fencing term, so that the whole may run twice and resume in the middle.
#pragma once

#include "core/round.hpp"
#include "spool/spool.hpp"
#include "stages/stage.hpp"

namespace batchd {

struct MergeSettings {
  RoundPolicy round;
  std::size_t chunk_rows = 5000;
  std::size_t chunk_bytes = 4 << 20;
  std::size_t max_line = 64 << 20;  ///< a longer line is corrupt
};

class Merger;

class MergeStage final : public Stage {
 public:
  MergeStage(StageContext& context, Spool& spool, MergeSettings settings)
      : Stage("merge", context, context.bells.merge, Milliseconds{5000}), spool_(spool), settings_(settings) {}

 private:
  Task<int> run_once() override;
  Task<void> step(Shard shard) override;
  Task<std::optional<ProviderError>> read_file(const Shard& shard, const FileId& file, Provider& provider, Merger& merger);

  Spool& spool_;
  MergeSettings settings_;
};

}  // namespace batchd
