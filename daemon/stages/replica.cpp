#include "stages/replica.hpp"

#include "stages/cancel.hpp"
#include "stages/close.hpp"
#include "stages/merge.hpp"
#include "stages/orphans.hpp"
#include "stages/plan.hpp"
#include "stages/poll.hpp"
#include "stages/submit.hpp"
#include "stages/sweep.hpp"
#include "stages/upload.hpp"
#include "stages/watch.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// A provider's whole list is walked so often while a batch of ours may turn up in it: after ten polls, but no more seldom.
constexpr Milliseconds longest_walk_interval{600'000};
/// How many shards a stage works on at a time.
constexpr int uploads_at_once = 2;
constexpr int submissions_at_once = 4;
constexpr int merges_at_once = 2;
constexpr int closes_at_once = 2;

BackoffPolicy backoff_policy(const Config& config) {
  return {config.retry.base_delay, config.retry.max_delay};
}

PlanSettings plan_settings(const Config& config) {
  PlanSettings settings;
  settings.policy.linger = config.planner.linger;
  settings.unroutable_after = config.planner.unroutable_after;
  settings.probe_after = 6 * config.retry.base_delay;
  return settings;
}

SubmitSettings submit_settings(const Config& config) {
  SubmitSettings settings;
  settings.file_interval = config.poll.file_interval;
  settings.settle_window = config.retry.settle_window;
  settings.hold_unknown = config.retry.on_unknown == "hold";
  return settings;
}

MergeSettings merge_settings(const Config& config) {
  MergeSettings settings;
  settings.round = {config.retry.max_attempts, backoff_policy(config)};
  // Each merge holds one chunk being gathered and one being written; the rest of the budget is for what surrounds them.
  settings.chunk_bytes =
      static_cast<std::size_t>(std::clamp<Bytes>(config.limits.memory / (4 * merges_at_once), 256 << 10, 16 << 20));
  return settings;
}

CloseSettings close_settings(const Config& config) {
  return {config.retention.remote_files == "delete", config.retention.remote_delay};
}

WatchSettings watch_settings(const Config& config) {
  const CloseSettings close = close_settings(config);
  WatchSettings settings;
  settings.interval = config.poll.interval;
  settings.walk_interval = std::min(10 * config.poll.interval, longest_walk_interval);
  settings.delete_remote_files = close.delete_remote_files;
  settings.remote_delay = close.remote_delay;
  return settings;
}

}  // namespace

Replica::Replica(const Config& config, const ReplicaPorts& ports, ReplicaInfo self)
    : config_(config),
      ports_(ports),
      session_(ports.store, ports.clock, ports.log, ports.metrics, std::move(self), config.lease.ttl) {
  make_routes();
  session_.on_rewound = [this](Term term) { return publish(term); };
  session_.on_burial = [this] {
    for (Wakeup* bell :
         {&bells_.plan, &bells_.upload, &bells_.submit, &bells_.merge, &bells_.close, &bells_.cancel, &bells_.orphans})
      bell->notify();
    for (Wakeup& bell : provider_bells_) bell.notify();
  };
}

Replica::~Replica() = default;

void Replica::make_routes() {
  for (const DeploymentConfig& deployment : config_.deployments) {
    Provider* const provider = ports_.providers.at(deployment.provider);
    const ProviderLimits& limits = provider->limits();
    routes_[deployment.name] = {provider, deployment.provider, std::min(config_.planner.max_requests, limits.max_requests),
                                std::min(config_.planner.max_bytes, limits.max_bytes), deployment.enqueued_token_limit};
  }
}

Task<bool> Replica::enter() {
  if (co_await ports_.store.has_moved()) {
    if (!moved_)
      ports_.log.error("instance.moved", {{"remedy", "this database is a copy: run `batchd adopt`, see `batchd adopt --help`"}});
    moved_ = true;
    co_return false;
  }
  const std::string instance = co_await ports_.store.instance_id();
  co_await ports_.store.maintain();
  co_await session_.beat();
  if (!co_await publish(session_.term())) co_return false;
  context_ = std::make_unique<StageContext>(StageContext{ports_.store, session_, ports_.clock, ports_.log, ports_.metrics, bells_,
                                                         busy_, ports_.providers, routes_, instance, backoff_policy(config_)});
  context_->vocabularies = ports_.vocabularies;
  make_stages();
  ports_.log.info("ready", {{"instance", instance}, {"deployments", config_.deployments.size()}});
  co_return true;
}

Task<bool> Replica::publish(Term term) {
  std::vector<DeploymentSettings> deployments;
  for (const DeploymentConfig& d : config_.deployments)
    deployments.push_back({d.name, d.provider, d.model, d.enqueued_token_limit, d.dynamic_token_limit});
  co_return co_await ports_.store.publish(term, deployments, money_rules(config_));
}

void Replica::make_stages() {
  auto planner = std::make_unique<PlanStage>(*context_, plan_settings(config_));
  planner_ = planner.get();
  stages_.emplace_back(std::move(planner), 1);
  stages_.emplace_back(std::make_unique<UploadStage>(*context_, ports_.spool), uploads_at_once);
  stages_.emplace_back(std::make_unique<SubmitStage>(*context_, submit_settings(config_)), submissions_at_once);
  for (const auto& [name, provider] : ports_.providers) add_provider(name, *provider);
  stages_.emplace_back(std::make_unique<MergeStage>(*context_, ports_.spool, merge_settings(config_)), merges_at_once);
  stages_.emplace_back(std::make_unique<CancelStage>(*context_), 1);
  stages_.emplace_back(std::make_unique<CloseStage>(*context_, close_settings(config_)), closes_at_once);
  stages_.emplace_back(std::make_unique<SweepStage>(*context_, SweepSettings{config_.retention.settled}), 1);
}

void Replica::add_provider(const std::string& name, Provider& provider) {
  const bool keep_files = !close_settings(config_).delete_remote_files;
  Wakeup& poll_bell = provider_bells_.emplace_back();
  stages_.emplace_back(std::make_unique<PollStage>(*context_, name, provider, poll_bell, PollSettings{config_.poll.interval}), 1);
  Wakeup& watch_bell = provider_bells_.emplace_back();
  stages_.emplace_back(std::make_unique<WatchStage>(*context_, name, provider, watch_bell, watch_settings(config_)), 1);
  stages_.emplace_back(std::make_unique<OrphanStage>(*context_, name, provider, keep_files), 1);
}

void Replica::spawn(TaskGroup& group) {
  for (const auto& [stage, loops] : stages_) {
    for (int i = 0; i < loops; ++i) {
      group.spawn(stage->name(), [s = stage.get(), scout = i == 0] { return s->run(scout); });
    }
  }
  group.spawn("listen", [this] { return planner_->listen(); });
}

}  // namespace batchd
