// submitted ─▶ finished. One walk through a provider's list serves all its batches, and stops once every live one has been
// seen; only those that the list does not show are asked for one by one. One replica polls a provider at a time.
#pragma once

#include "stages/stage.hpp"

#include <unordered_map>

namespace batchd {

struct PollSettings {
  Milliseconds interval{60'000};
};

class PollStage final : public Stage {
 public:
  PollStage(StageContext& context, std::string provider_name, Provider& provider, Wakeup& bell, PollSettings settings)
      : Stage("poll:" + provider_name, context, bell, settings.interval),
        provider_name_(std::move(provider_name)),
        provider_(provider),
        settings_(settings) {}

 private:
  using Live = std::unordered_map<BatchId, LiveBatch>;

  Task<int> run_once() override;
  /// The interval and up to a tenth more, so that replicas and providers do not march in step.
  Milliseconds pause() const override;
  /// Removes from `live` what the list showed; false when the provider did not answer.
  Task<bool> walk(Live& live, std::vector<Batch>& seen);
  // What follows from a pass is done under the term that the pass began under: a shard leased under another one, of a replica
  // that does not poll any more, would stay with it for as long as it lives.
  Task<void> ask_one_by_one(Term term, const Live& live, std::vector<Batch>& seen);
  Task<void> note(const Live& before, const std::vector<Batch>& seen);
  Task<void> finish(Term term, ShardId shard, const Batch& batch);
  Task<void> vanished(Term term, const LiveBatch& live, const ProviderError& error);

  std::string provider_name_;
  Provider& provider_;
  PollSettings settings_;
};

}  // namespace batchd
