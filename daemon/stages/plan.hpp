// queue ─▶ planned. Turns waiting requests into shards, on one replica at a time: packing wants one view.
#pragma once

#include "core/packer.hpp"
#include "stages/stage.hpp"

#include <map>

namespace batchd {

struct PlanSettings {
  PackPolicy policy;
  Milliseconds unroutable_after{0};
  Milliseconds probe_after{60'000};  ///< a quota that was refused is tried for more after so long without a refusal
};

class PlanStage final : public Stage {
 public:
  PlanStage(StageContext& context, PlanSettings settings)
      : Stage("plan", context, context.bells.plan, Milliseconds{5000}), settings_(std::move(settings)) {}

  /// Rings the bells of what people ask for when their hint arrives; a loop of its own beside run().
  Task<void> listen();

 private:
  Task<int> run_once() override;
  Milliseconds pause() const override { return next_look_; }

  Task<void> settle_hopeless();
  /// Lets time without refusals count, for every deployment where that changes what is believed of its quota.
  Task<void> probe_rooms();
  /// What a deployment takes. One that only other replicas know may take any endpoint.
  Offer offer_of(const DeploymentLoad& load) const;
  std::vector<PackTarget> targets(const std::vector<DeploymentLoad>& loads, const std::string& endpoint) const;
  void count_returned(std::vector<Flow>& flows);

  PlanSettings settings_;
  Milliseconds next_look_{1000};
  Clock::TimePoint hopeless_checked_{};
  Clock::TimePoint rooms_probed_{};
  std::map<FlowId, Clock::TimePoint> returned_since_;  // first pass at which a flow had returned requests due
};

}  // namespace batchd
