// finished ─▶ merged. Streams the output file and then the error file, and decides every member of the shard: successes as
// they come, failures only when both files were read whole (so that a success wins), and last the members that neither file
// mentions. Each chunk is one transaction under the fencing term, so that the whole may run twice and resume in the middle.
#pragma once

#include "core/round.hpp"
#include "spool/spool.hpp"
#include "stages/stage.hpp"

#include <map>

namespace batchd {

struct MergeSettings {
  RoundPolicy round;
  std::size_t chunk_rows = 5000;
  std::size_t chunk_bytes = 4 << 20;
  std::size_t max_line = longest_file_line;
  /// How long a shard waits for a duplicate of its batch to be over: what that has answered need not be bought again.
  Milliseconds stray_patience{900'000};
};

class Merger;

class MergeStage final : public Stage {
 public:
  MergeStage(StageContext& context, Spool& spool, MergeSettings settings)
      : Stage("merge", context, context.bells.merge, Milliseconds{5000}), spool_(spool), settings_(settings) {}

 private:
  Task<int> run_once() override;
  Task<void> step(Shard shard) override;
  Task<std::optional<ProviderError>> read_answers(const Shard& shard, const std::vector<Stray>& strays, Provider* provider,
                                                  Merger& merger);
  /// What duplicates of the batch have answered: successes only.
  Task<std::optional<ProviderError>> read_strays(const Shard& shard, const std::vector<Stray>& strays, Provider& provider,
                                                 Merger& merger);
  /// True when one of them may still answer and the shard is to wait for it.
  bool worth_waiting(const std::vector<Stray>& strays) const;
  Task<void> note_used(const Shard& shard, std::vector<Stray> strays);
  /// Decides a shard whose file was refused, as far as that goes now; false when it has to wait (merge_refused.cpp).
  Task<bool> decide_refused(const Shard& shard, Merger& merger);
  RefusedShard refused(const Shard& shard, const Suspicion& known, const Merger& merger) const;
  /// In two, the first half as a trial that the rest waits for, or both for good; decided is it in the second case only.
  Task<bool> cut(const Shard& shard, Merger& merger, bool trial);
  Task<void> release(Merger& merger);
  void note_pause(RequestId suspect);
  Task<std::optional<ProviderError>> read_file(const Shard& shard, const FileId& file, Provider& provider, Merger& merger);

  static constexpr Milliseconds trial_interval{500};   ///< how often a refused shard looks after its trial
  static constexpr Milliseconds stray_interval{1000};  ///< and one with a duplicate after that

  Spool& spool_;
  MergeSettings settings_;
  std::map<RequestId, int> pauses_;  // of a lane, because of a last suspect among others
};

}  // namespace batchd
