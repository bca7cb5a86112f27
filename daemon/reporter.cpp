#include "reporter.hpp"

#include "runtime/task_group.hpp"

#include <chrono>

namespace batchd {
namespace {

constexpr Milliseconds interval{2000};
constexpr int jobs_shown = 20;

Milliseconds since(Clock::TimePoint then, const Clock& clock) {
  return std::chrono::duration_cast<Milliseconds>(clock.now() - then);
}

}  // namespace

Reporter::Reporter(Store& store, Clock& clock, Log& log, Metrics& metrics, std::vector<Offer> offers,
                   std::set<std::string> providers)
    : store_(store),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      offers_(std::move(offers)),
      providers_(std::move(providers)),
      started_(clock.now()) {
  snapshot_.version = BATCHD_VERSION;
}

void Reporter::identify(std::string instance, std::string replica) {
  snapshot_.instance = std::move(instance);
  snapshot_.replica = std::move(replica);
}

Task<void> Reporter::run() {
  for (;;) {
    std::string failure;
    try {
      co_await shield(look());
    } catch (const StoreError& error) {
      failure = error.what();
    }
    if (!failure.empty()) log_.warn("status.failed", {{"error", failure}});
    metrics_.loop_beat("status");
    co_await clock_.sleep_for(interval);
  }
}

Task<void> Reporter::look() {
  const StoreGauges gauges = co_await store_.gauges();
  const std::vector<JobProgress> jobs = co_await store_.jobs(jobs_shown);
  looked_ = clock_.now();
  show(gauges);
  snapshot_.jobs.clear();
  for (const JobProgress& j : jobs) {
    snapshot_.jobs.push_back(
        {j.job, j.queued, j.in_flight, j.succeeded, j.failed, j.cancelled, j.expired, j.input_tokens, j.output_tokens, j.cost});
  }
}

void Reporter::show(const StoreGauges& gauges) {
  snapshot_.accepted = gauges.accepted;
  snapshot_.queued = gauges.queued;
  snapshot_.in_flight = gauges.in_flight;
  snapshot_.settled = gauges.settled;
  snapshot_.shards = gauges.shards;
  snapshot_.oldest_queued = gauges.oldest_queued;
  snapshot_.submissions_unknown = gauges.submissions_unknown;
  snapshot_.deployments.clear();
  snapshot_.unroutable.clear();
  std::map<std::string, std::int64_t> untaken;
  for (const auto& [lane, requests] : gauges.queued_by_lane) {
    if (!is_offered(offers_, lane) && requests > 0) untaken[lane.model] += requests;
  }
  snapshot_.unroutable.assign(untaken.begin(), untaken.end());
  std::int64_t settled = 0;
  for (const auto& [outcome, requests] : gauges.settled) settled += requests;
  metrics_.set_requests("accepted", gauges.accepted);
  metrics_.set_requests("queued", gauges.queued);
  metrics_.set_requests("in_flight", gauges.in_flight);
  metrics_.set_requests("settled", settled);
  for (const auto& [state, shards] : gauges.shards) metrics_.set_shards(state, shards);
  metrics_.set_oldest_queued(gauges.oldest_queued);
  metrics_.set_submissions_unknown(gauges.submissions_unknown);
  metrics_.set_unroutable(snapshot_.unroutable);
  for (const std::string& provider : providers_) {
    const auto files = gauges.files.find(provider);
    metrics_.set_file_slots(provider, files == gauges.files.end() ? 0 : files->second);
  }
  snapshot_.budget = {gauges.budget.spent, gauges.budget.reserved, gauges.budget.daily};
  metrics_.set_budget(gauges.budget.spent, gauges.budget.reserved, gauges.budget.daily);
  for (const DeploymentLoad& d : gauges.deployments) {
    const std::string reason = d.paused ? d.pause_reason : d.needs_money ? "budget" : "";
    const auto spent = gauges.budget.spent_by_deployment.find(d.name);
    const NanoDollars cost = spent == gauges.budget.spent_by_deployment.end() ? 0 : spent->second;
    snapshot_.deployments.push_back(
        {d.name, d.provider, d.model, d.reserved, d.limit, d.room.believed, d.staged, d.live, reason, cost});
    metrics_.set_deployment(d.name, d.reserved, d.limit, d.room.believed);
    metrics_.set_lane_paused(d.name, reason);
    tell_of_money(d, gauges.budget);
  }
}

/// Once when a lane stops for want of money, and once when it goes on.
void Reporter::tell_of_money(const DeploymentLoad& deployment, const BudgetGauges& budget) {
  if (deployment.needs_money == (short_of_money_.count(deployment.name) > 0)) return;
  if (deployment.needs_money) {
    short_of_money_.insert(deployment.name);
    log_.warn("budget.exhausted", {{"deployment", deployment.name},
                                   {"model", deployment.model},
                                   {"daily_usd", budget.daily ? exact_dollars(*budget.daily) : ""},
                                   {"spent_today_usd", exact_dollars(budget.spent)},
                                   {"reserved_usd", exact_dollars(budget.reserved)}});
  } else {
    short_of_money_.erase(deployment.name);
    log_.info("budget.sufficient", {{"deployment", deployment.name}, {"model", deployment.model}});
  }
}

StatusSnapshot Reporter::snapshot() const {
  StatusSnapshot now = snapshot_;
  now.uptime = since(started_, clock_);
  if (looked_) now.age = since(*looked_, clock_);
  return now;
}

Health Reporter::health() const {
  Health health;
  health.stopping = stopping_;
  health.schema_problem = schema_problem_;
  if (looked_) health.database_age = since(*looked_, clock_);
  return health;
}

}  // namespace batchd
