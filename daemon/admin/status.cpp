#include "admin/status.hpp"

#include <boost/json.hpp>

namespace batchd {
namespace {

constexpr Milliseconds fresh_enough{5'000};

std::int64_t sum(const std::map<std::string, std::int64_t>& counts) {
  std::int64_t total = 0;
  for (const auto& [name, count] : counts) total += count;
  return total;
}

double seconds(Milliseconds value) {
  return static_cast<double>(value.count()) / 1000.0;
}

double usd(NanoDollars amount) {
  return static_cast<double>(amount) / static_cast<double>(nano_per_dollar);
}

boost::json::object budget_json(const BudgetView& budget) {
  boost::json::object out{{"spent_today_usd", usd(budget.spent)}, {"reserved_usd", usd(budget.reserved)}};
  out["daily_usd"] = budget.daily ? boost::json::value(usd(*budget.daily)) : boost::json::value();
  out["remaining_usd"] =
      budget.daily ? boost::json::value(usd(*budget.daily - budget.spent - budget.reserved)) : boost::json::value();
  return out;
}

boost::json::object requests_json(const StatusSnapshot& status) {
  boost::json::object out{{"accepted", status.accepted},
                          {"queued", status.queued},
                          {"in_flight", status.in_flight},
                          {"settled", sum(status.settled)}};
  for (const char* outcome : {"succeeded", "failed", "cancelled", "expired"}) {
    const auto found = status.settled.find(outcome);
    out[outcome] = found == status.settled.end() ? 0 : found->second;
  }
  return out;
}

boost::json::array deployments_json(const StatusSnapshot& status) {
  boost::json::array out;
  for (const DeploymentView& deployment : status.deployments) {
    out.push_back({{"name", deployment.name},
                   {"provider", deployment.provider},
                   {"model", deployment.model},
                   {"tokens_reserved", deployment.reserved},
                   {"tokens_limit", deployment.limit},
                   {"tokens_believed", deployment.believed},
                   {"shards_staged", deployment.staged},
                   {"shards_live", deployment.live},
                   {"cost_today_usd", usd(deployment.cost_today)},
                   {"paused", deployment.paused.empty() ? boost::json::value() : boost::json::value(deployment.paused)}});
  }
  return out;
}

boost::json::array jobs_json(const StatusSnapshot& status) {
  boost::json::array out;
  for (const JobView& job : status.jobs) {
    out.push_back({{"job", job.job},
                   {"accepted", job.accepted()},
                   {"queued", job.queued},
                   {"in_flight", job.in_flight},
                   {"succeeded", job.succeeded},
                   {"failed", job.failed},
                   {"cancelled", job.cancelled},
                   {"expired", job.expired},
                   {"input_tokens", job.input_tokens},
                   {"output_tokens", job.output_tokens},
                   {"cost_usd", usd(job.cost)}});
  }
  return out;
}

}  // namespace

Readiness judge(const Health& health) {
  if (health.stopping) return {false, "stopping"};
  if (!health.database_age) return {false, "the database has not answered yet"};
  if (!health.schema_problem.empty()) return {false, health.schema_problem};
  if (*health.database_age >= fresh_enough) {
    return {false, "the database last answered " + std::to_string(health.database_age->count() / 1000) + " s ago"};
  }
  return {true, ""};
}

std::string render_json(const StatusSnapshot& status, const Readiness& readiness) {
  boost::json::object shards;
  for (const auto& [state, count] : status.shards) shards[state] = count;
  boost::json::array unroutable;
  for (const auto& [model, count] : status.unroutable) unroutable.push_back({{"model", model}, {"requests", count}});

  boost::json::object out;
  out["version"] = status.version;
  out["instance"] = status.instance;
  out["replica"] = status.replica;
  out["uptime_seconds"] = seconds(status.uptime);
  out["ready"] = readiness.ready;
  out["reason"] = readiness.reason;
  out["age_seconds"] = status.age ? boost::json::value(seconds(*status.age)) : boost::json::value();
  out["requests"] = requests_json(status);
  out["oldest_queued_seconds"] = seconds(status.oldest_queued);
  out["shards"] = std::move(shards);
  out["submissions_unknown"] = status.submissions_unknown;
  out["budget"] = budget_json(status.budget);
  out["deployments"] = deployments_json(status);
  out["jobs"] = jobs_json(status);
  out["unroutable"] = std::move(unroutable);
  return boost::json::serialize(out) + "\n";
}

}  // namespace batchd
