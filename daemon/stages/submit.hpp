// uploaded ─▶ submitted, by the protocol that never buys twice (P2): reserve and announce in one transaction, POST once,
// record the answer. While the answer is unknown the shard is looked for in the provider's list, never posted again;
// not found, its input file is deleted (the fence), after which the POST can no longer become a batch.
#pragma once

#include "stages/stage.hpp"

namespace batchd {

struct SubmitSettings {
  Milliseconds file_interval{1000};
  Milliseconds settle_window{120'000};
  Milliseconds room_interval{1000};  ///< how soon to ask again when the quota had no room
  bool hold_unknown = false;         ///< `on_unknown = "hold"`: wait for a person instead of fencing
};

class SubmitStage final : public Stage {
 public:
  SubmitStage(StageContext& context, SubmitSettings settings)
      : Stage("submit", context, context.bells.submit, Milliseconds{5000}), settings_(settings) {}

 private:
  Task<int> run_once() override;
  Task<void> step(Shard shard) override;
  Milliseconds pause() const override;
  /// What the provider says of the quota when it accepts a batch; the same again only now and then.
  Task<void> heed(const Shard& shard, const QuotaHint& hint);
  /// False when the shard has been dealt with because its file is not usable now.
  Task<bool> file_is_ready(Shard& shard, Provider& provider);
  /// Whether the provider's list has been compared with the books.
  Task<bool> is_matched(const std::string& provider);
  Task<void> file_lost(Shard& shard);
  Task<void> give_up_for_money(Shard& shard);
  Task<void> post(Shard& shard, Provider& provider);
  Task<void> refused(Shard& shard, const ProviderError& error);
  Task<void> resolve_unknown(Shard& shard, Provider& provider);
  Task<void> not_found(Shard& shard, Provider& provider);
  Task<void> fence(Shard& shard, Provider& provider);
  /// Our batch for this attempt, after walking the whole list.
  Task<ProviderResult<std::optional<Batch>>> find_in_list(const Shard& shard, Provider& provider);
  /// Of batches that have the shard's file and do not say which attempt they were made for, the one that no other attempt has
  /// got.
  Task<std::optional<Batch>> not_taken(const Shard& shard, const std::vector<Batch>& batches);

  struct Heeded {
    std::optional<Tokens> maximum;
    Clock::TimePoint at{};
  };

  SubmitSettings settings_;
  std::map<std::string, Heeded> heeded_;  // by deployment
};

}  // namespace batchd
