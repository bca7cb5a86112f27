#include "simulation/schedule.hpp"

#include <algorithm>
#include <array>
#include <sstream>

namespace batchd::simulation {
namespace {

constexpr std::array<std::string_view, 18> incident_names{
    "kill",    "kill_at_call",   "pause",      "pause_at_call", "cut_database", "cut_providers",
    "stop",    "database_down",  "backup",     "restore",       "promote",      "clock_step",
    "enqueue", "cancel_request", "cancel_job", "retry_job",     "pause_lane",   "foreign_batch"};

/// Lengths are chosen so that the daemon's own constants (a loop's second, a lane's probe) stay in proportion, and a schedule
/// lasts a minute or two of its own time.
Config draw_config(Dice& dice, int providers) {
  Config config;
  config.planner.linger = Milliseconds{dice.pick(std::vector<int>{0, 300, 1500})};
  config.planner.max_requests = dice.between(2, 8);
  config.planner.max_bytes = dice.pick(std::vector<Bytes>{2'000, 1'000'000});
  config.planner.unroutable_after = std::chrono::hours{24};
  config.poll.interval = dice.between(Milliseconds{1'000}, Milliseconds{5'000});
  config.poll.file_interval = dice.between(Milliseconds{200}, Milliseconds{1'000});
  config.retry.max_attempts = static_cast<int>(dice.between(2, 5));
  config.retry.base_delay = dice.between(Milliseconds{100}, Milliseconds{800});
  config.retry.max_delay = dice.between(Milliseconds{1'000}, Milliseconds{6'000});
  config.retry.settle_window = dice.between(Milliseconds{2'000}, Milliseconds{9'000});
  config.retry.on_unknown = "fence";
  config.lease.ttl = dice.between(Milliseconds{3'000}, Milliseconds{12'000});
  config.limits.memory = 32 << 20;
  config.retention.settled = std::chrono::hours{24 * 30};
  config.retention.remote_files = "delete";
  config.retention.remote_delay = Milliseconds{dice.pick(std::vector<int>{0, 0, 2'000})};
  for (int p = 0; p < providers; ++p) {
    ProviderConfig provider;
    provider.name = "p" + std::to_string(p);
    config.providers.push_back(provider);
  }
  const int deployments = static_cast<int>(dice.between(1, 2));
  for (int p = 0; p < providers; ++p) {
    for (int d = 0; d < deployments; ++d) {
      DeploymentConfig deployment;
      deployment.name = "d" + std::to_string(p) + std::to_string(d);
      deployment.provider = config.providers[static_cast<std::size_t>(p)].name;
      deployment.model = "m" + std::to_string(d);
      deployment.enqueued_token_limit = dice.flip(0.5) ? 1'000'000 : dice.between(400, 1500);
      config.deployments.push_back(deployment);
    }
  }
  return config;
}

void draw_faults(Dice& dice, CloudSettings& cloud) {
  // A few kinds at a time: too many at once hide each other (Groce et al., Swarm Testing, 2012).
  const double amount = dice.pick(std::vector<double>{0.02, 0.1, 0.3});
  for (std::size_t i = 0; i < cloud_faults; ++i) {
    if (dice.flip(0.12)) cloud.faults[static_cast<CloudFault>(i)] = amount;
  }
}

/// What chance alone hardly ever brings together.
void draw_theme(Dice& dice, CloudSettings& cloud, std::int64_t window) {
  cloud.faults[CloudFault::no_answer] = 0.3;
  if (dice.flip(0.5)) {
    // Duplicates that run to their end, and requests that want another answer when they have.
    cloud.faults[CloudFault::listed_late] = 0.5;
    cloud.late_listing = {Milliseconds{window}, Milliseconds{3 * window}};
    cloud.faults[CloudFault::line_missing] = cloud.faults[CloudFault::line_throttled] = 0.2;
  } else {
    // A list that seldom comes to its end, and whose beginning tells nothing of what was just accepted.
    cloud.newest_first = false;
    cloud.page_size = 2;
    cloud.foreign_batches = 5;
    cloud.faults[CloudFault::page_stuck] = 0.3;
  }
}

CloudSettings draw_cloud(Dice& dice, const Config& config, const std::string& provider, bool faults) {
  CloudSettings cloud = dice.flip(0.5) ? CloudSettings::azure_like() : CloudSettings::openai_like();
  const auto ms = [](std::int64_t least, std::int64_t most) { return Span{Milliseconds{least}, Milliseconds{most}}; };
  cloud.page_size = static_cast<int>(dice.between(2, 20));
  cloud.newest_first = dice.flip(0.8);
  cloud.processing = ms(0, 800);
  cloud.validating = ms(20, 1'500);
  cloud.running = ms(200, dice.pick(std::vector<int>{2'000, 12'000}));
  cloud.finalizing = ms(20, 800);
  cloud.cancelling = ms(20, 3'000);
  // Shorter than the settle window: what is listed later than anybody waits for has a fault of its own, `listed_late`.
  const std::int64_t window = config.retry.settle_window.count();
  if (dice.flip(0.5)) {
    cloud.list_lag = ms(0, window / 2);
    cloud.list_flicker = ms(0, window / 4);
  }
  cloud.release_lag = ms(0, dice.flip(0.3) ? 2'000 : 0);
  cloud.foreign_batches = static_cast<int>(dice.between(0, 3));
  cloud.foreign_files = static_cast<int>(dice.between(0, 3));
  for (const DeploymentConfig& deployment : config.deployments) {
    if (deployment.provider != provider) continue;
    const std::string name = cloud.limits.model_is_deployment ? deployment.name : deployment.model;
    cloud.deployments[name] = deployment.enqueued_token_limit;
  }
  cloud.late_quota = dice.flip(0.3) ? 0.5 : 0;
  // Others hold up to half of the smallest quota, for good: our ledger has to find out by being refused.
  if (dice.flip(0.2)) cloud.foreign_tokens = dice.between(50, 200);
  cloud.retry_after = ms(100, 5'000);
  cloud.outage = ms(500, 10'000);
  cloud.unseen = ms(100, 3'000);
  cloud.slow_processing = ms(1'000, 8'000);
  cloud.late_listing = ms(2 * window, 10 * window);
  cloud.stuck = ms(5'000, 30'000);
  cloud.taken = ms(100, 20'000);
  if (faults) draw_faults(dice, cloud);
  if (faults && dice.flip(0.1)) draw_theme(dice, cloud, window);
  return cloud;
}

class Drawing {
 public:
  Drawing(std::uint64_t seed, Schedule& schedule) : dice_(seed), s_(schedule) {}

  void draw() {
    s_.replicas = static_cast<int>(dice_.between(2, dice_.flip(0.3) ? 5 : 3));
    s_.providers = dice_.flip(0.25) ? 2 : 1;
    s_.calm = dice_.between(Milliseconds{15'000}, Milliseconds{45'000});
    s_.end = s_.calm + std::chrono::hours{3};
    s_.config = draw_config(dice_, s_.providers);
    const bool cloud_faults = dice_.flip(0.6);
    for (const ProviderConfig& provider : s_.config.providers)
      s_.clouds.push_back(draw_cloud(dice_, s_.config, provider.name, cloud_faults));
    draw_lines();
    draw_work();
    draw_incidents();
    std::stable_sort(s_.events.begin(), s_.events.end(), [](const Event& a, const Event& b) { return a.at < b.at; });
  }

 private:
  bool has(double chance) { return dice_.flip(chance); }
  Milliseconds any_time() { return dice_.between(Milliseconds{0}, s_.calm); }
  int any_replica() { return static_cast<int>(dice_.between(0, s_.replicas - 1)); }
  void add(Milliseconds at, Incident what, int who = 0, std::int64_t number = 0, Milliseconds lasting = {}) {
    s_.events.push_back({at, what, who, number, lasting});
  }

  void draw_lines() {
    if (has(0.4)) {
      s_.database_line.lost = dice_.pick(std::vector<double>{0.005, 0.03});
      s_.database_line.refused = s_.database_line.lost;
      s_.database_line.late = 0.5;
    }
    if (has(0.4)) {
      s_.provider_lines.lost = dice_.pick(std::vector<double>{0.02, 0.15});
      s_.provider_lines.refused = s_.provider_lines.lost / 2;
      s_.provider_lines.late = 0.5;
    }
    if (has(0.3)) {
      s_.database_line.slow = s_.provider_lines.slow = 0.03;
      s_.database_line.slowest = s_.config.lease.ttl / 2;
      s_.provider_lines.slowest = s_.config.lease.ttl * 2;
    }
    if (has(0.3)) s_.clock_drift = 0.02;
  }

  void draw_work() {
    const int inserts = static_cast<int>(dice_.between(1, 5));
    for (int i = 0; i < inserts; ++i) {
      add(i == 0 ? Milliseconds{0} : dice_.between(Milliseconds{0}, s_.calm * 2 / 3), Incident::enqueue, 0, dice_.between(1, 12));
    }
    if (has(0.15)) s_.poisoned = 0.1;
    if (has(0.2)) add(any_time(), Incident::cancel_job);
    for (int i = static_cast<int>(has(0.3) ? dice_.between(1, 4) : 0); i > 0; --i) add(any_time(), Incident::cancel_request);
    if (has(0.15)) add(any_time(), Incident::retry_job);
    if (has(0.15)) add(any_time(), Incident::pause_lane, 0, dice_.between(0, 1), dice_.between(Milliseconds{1'000}, s_.calm / 2));
    if (has(0.2)) add(any_time(), Incident::foreign_batch, static_cast<int>(dice_.between(0, s_.providers - 1)));
  }

  void draw_incidents() {
    const Milliseconds ttl = s_.config.lease.ttl;
    const auto some = [this](double chance, std::int64_t most) { return has(chance) ? dice_.between(1, most) : 0; };
    for (auto i = some(0.3, 4); i > 0; --i) add(any_time(), Incident::kill, any_replica());
    for (auto i = some(0.5, 5); i > 0; --i) add(any_time(), Incident::kill_at_call, any_replica(), dice_.between(1, 60));
    for (auto i = some(0.25, 3); i > 0; --i) add(any_time(), Incident::pause, any_replica(), 0, dice_.between(ttl / 4, ttl * 3));
    for (auto i = some(0.35, 4); i > 0; --i)
      add(any_time(), Incident::pause_at_call, any_replica(), dice_.between(1, 60), dice_.between(ttl / 2, ttl * 3));
    // Again and again: a lease is lost in the middle of something, and somebody else goes on with it.
    for (auto i = has(0.1) ? 12 : 0; i > 0; --i)
      add(any_time(), Incident::pause_at_call, any_replica(), dice_.between(1, 30), dice_.between(ttl, ttl * 2));
    for (auto i = some(0.25, 2); i > 0; --i)
      add(any_time(), Incident::cut_database, any_replica(), 0, dice_.between(ttl / 4, ttl * 3));
    for (auto i = some(0.25, 2); i > 0; --i)
      add(any_time(), Incident::cut_providers, any_replica(), 0, dice_.between(ttl / 4, ttl * 3));
    for (auto i = some(0.2, 3); i > 0; --i) add(any_time(), Incident::stop, any_replica());
    for (auto i = some(0.2, 2); i > 0; --i)
      add(any_time(), Incident::database_down, 0, 0, dice_.between(Milliseconds{200}, ttl * 2));
    if (has(0.1)) add(any_time(), Incident::clock_step, 0, dice_.between(-60'000, 60'000));
    if (has(0.15)) draw_loss();
  }

  void draw_loss() {
    const Milliseconds backup = dice_.between(Milliseconds{500}, s_.calm * 3 / 4);
    const Milliseconds longest = has(0.5) ? s_.calm - backup : s_.calm / 4;
    const Milliseconds restore = backup + dice_.between(Milliseconds{100}, longest);
    add(backup, Incident::backup);
    add(restore, has(0.5) ? Incident::restore : Incident::promote);
  }

  Dice dice_;
  Schedule& s_;
};

}  // namespace

std::string_view to_string(Incident incident) {
  return incident_names[static_cast<std::size_t>(incident)];
}

bool Schedule::loses_commits() const {
  return std::any_of(events.begin(), events.end(),
                     [](const Event& event) { return event.what == Incident::restore || event.what == Incident::promote; });
}

Schedule draw_schedule(std::uint64_t seed) {
  Schedule schedule;
  schedule.seed = seed;
  Drawing(seed, schedule).draw();
  return schedule;
}

std::string describe(const Schedule& schedule) {
  std::ostringstream out;
  const Config& config = schedule.config;
  out << schedule.replicas << " replicas, " << config.providers.size() << " providers, " << config.deployments.size()
      << " deployments; ttl " << config.lease.ttl.count() << " ms, poll " << config.poll.interval.count() << " ms, settle window "
      << config.retry.settle_window.count() << " ms, " << config.retry.max_attempts << " attempts; calm after "
      << schedule.calm.count() << " ms\n";
  out << "database line: lost " << schedule.database_line.lost << ", slow " << schedule.database_line.slow
      << "; provider lines: lost " << schedule.provider_lines.lost << ", slow " << schedule.provider_lines.slow << "; drift "
      << schedule.clock_drift << "\n";
  for (std::size_t p = 0; p < schedule.clouds.size(); ++p) {
    const CloudSettings& cloud = schedule.clouds[p];
    out << "p" << p << ": " << (cloud.limits.wait_for_processed ? "azure-like" : "openai-like") << ", list lag "
        << cloud.list_lag.most.count() << " ms, pages of " << cloud.page_size << ";";
    for (std::size_t i = 0; i < cloud_faults; ++i) {
      const auto fault = static_cast<CloudFault>(i);
      if (cloud.faults[fault] > 0) out << " " << to_string(fault) << " " << cloud.faults[fault];
    }
    out << "\n";
  }
  for (const Event& event : schedule.events) {
    out << "  " << event.at.count() << " ms: " << to_string(event.what) << " who " << event.who << " number " << event.number
        << " lasting " << event.lasting.count() << " ms\n";
  }
  return out.str();
}

}  // namespace batchd::simulation
