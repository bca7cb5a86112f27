// The schedule that tests written by hand begin with.
#pragma once

#include "simulation/schedule.hpp"

#include <string>

namespace batchd::simulation {

/// Nothing goes wrong in it but what a test adds.
inline Schedule quiet(int replicas, int providers) {
  using namespace std::chrono_literals;
  Schedule schedule;
  schedule.seed = 1;
  schedule.replicas = replicas;
  schedule.providers = providers;
  Config& config = schedule.config;
  config.planner.linger = 0ms;
  config.planner.max_requests = 2;
  config.planner.max_bytes = 1'000'000;
  config.planner.unroutable_after = 24h;
  config.poll.interval = 1s;
  config.poll.file_interval = 200ms;
  config.retry.max_attempts = 3;
  config.retry.base_delay = 200ms;
  config.retry.max_delay = 2s;
  config.retry.settle_window = 3s;
  config.retry.on_unknown = "fence";
  config.lease.ttl = 6s;
  config.limits.memory = 32 << 20;
  config.retention.settled = 720h;
  config.retention.remote_files = "delete";
  for (int p = 0; p < providers; ++p) {
    const std::string number = std::to_string(p);
    config.providers.push_back({});
    config.providers.back().name = "p" + number;
    config.deployments.push_back({"d" + number, "p" + number, "m", 1'000'000});
    CloudSettings cloud = CloudSettings::openai_like();
    cloud.validating = {50ms, 50ms};
    cloud.running = {2s, 2s};
    cloud.finalizing = {50ms, 50ms};
    schedule.clouds.push_back(cloud);
  }
  schedule.calm = 20s;
  schedule.end = 3h;
  return schedule;
}

}  // namespace batchd::simulation
