#include "metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <utility>

namespace batchd {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;
using Clock = std::chrono::steady_clock;

// Producers choose model names, so the number of series must not be theirs to choose.
constexpr std::size_t most_unroutable_models = 50;
constexpr std::string_view other_models = "(other)";

const Buckets call_seconds{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};
const Buckets shard_sizes{1, 10, 100, 500, 1'000, 5'000, 10'000, 25'000, 50'000, 75'000, 100'000};

/// The one place where money becomes a fraction: it is only shown.
double in_dollars(NanoDollars amount) {
  return static_cast<double>(amount) / static_cast<double>(nano_per_dollar);
}

/// Declares families and remembers what was declared.
class Catalogue {
 public:
  Family<Counter>& counter(std::string name, std::string help, std::string labels = "") {
    return declare(prometheus::BuildCounter(), std::move(name), "counter", std::move(labels), std::move(help));
  }
  Family<Gauge>& gauge(std::string name, std::string help, std::string labels = "") {
    return declare(prometheus::BuildGauge(), std::move(name), "gauge", std::move(labels), std::move(help));
  }
  Family<Histogram>& histogram(std::string name, std::string help, std::string labels = "") {
    return declare(prometheus::BuildHistogram(), std::move(name), "histogram", std::move(labels), std::move(help));
  }
  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, registry_.Collect());
    return std::move(out).str();
  }
  const std::vector<MetricInfo>& families() const { return families_; }

 private:
  template <class Metric>
  Family<Metric>& declare(prometheus::detail::Builder<Metric> builder, std::string name, const char* type, std::string labels,
                          std::string help) {
    auto& family = builder.Name(name).Help(help).Register(registry_);
    families_.push_back({std::move(name), type, std::move(labels), std::move(help)});
    return family;
  }
  prometheus::Registry registry_;
  std::vector<MetricInfo> families_;
};

}  // namespace

struct Metrics::Impl {
  Catalogue all;

  Family<Gauge>& build_info = all.gauge("batchd_build_info", "Always 1; the version is in the label.", "version");
  Family<Gauge>& requests =
      all.gauge("batchd_requests", "Requests by state; queued + in_flight + settled = accepted at all times.", "state");
  Family<Counter>& settled =
      all.counter("batchd_requests_settled_total", "Requests that this replica settled, by outcome.", "outcome");
  Counter& returned =
      all.counter("batchd_requests_returned_total", "Requests that this replica sent back to the queue for another try.").Add({});
  Family<Counter>& ignored = all.counter("batchd_output_lines_ignored_total",
                                         "Lines of providers' output files that were not applied: of unknown requests, "
                                         "answered before, or unreadable.",
                                         "kind");
  Family<Gauge>& shards = all.gauge("batchd_shards", "Shards by state; closed ones are not counted.", "state");
  Histogram& shard_requests =
      all.histogram("batchd_shard_requests", "Requests in each shard that this replica planned.").Add({}, shard_sizes);
  Gauge& oldest_queued =
      all.gauge("batchd_oldest_queued_seconds", "How long the oldest queued request has waited; 0 when none waits.").Add({});
  Family<Gauge>& reserved =
      all.gauge("batchd_tokens_reserved", "Enqueued tokens that the deployment's ledger holds for live batches.", "deployment");
  Family<Gauge>& limit = all.gauge("batchd_tokens_limit", "The deployment's enqueued-token limit as configured.", "deployment");
  Family<Gauge>& believed = all.gauge("batchd_tokens_believed",
                                      "Enqueued tokens that the deployment may hold as far as batchd has learnt: less than the "
                                      "limit after refusals, or where others use it too.",
                                      "deployment");
  Family<Counter>& quota_refusals =
      all.counter("batchd_quota_refusals_total", "Batches that the provider refused for want of room in the deployment's quota.",
                  "deployment");
  Family<Gauge>& lane_paused =
      all.gauge("batchd_lane_paused", "1 while submissions of the deployment are paused for this reason.", "deployment,reason");
  Family<Counter>& calls =
      all.counter("batchd_provider_calls_total", "Calls to providers by operation and HTTP status; code 0 means no answer.",
                  "provider,operation,code");
  Family<Histogram>& call_time = all.histogram("batchd_provider_call_seconds",
                                               "How long calls to providers took, transfers included.", "provider,operation");
  Family<Gauge>& withheld = all.gauge("batchd_provider_calls_withheld",
                                      "1 while this replica withholds calls because the provider does not answer; one at a time "
                                      "finds out whether it does again.",
                                      "provider");
  Gauge& unknown =
      all.gauge("batchd_submissions_unknown", "Submissions of which it is not known yet whether a batch came of them.").Add({});
  Counter& duplicates = all.counter("batchd_duplicate_batches_total",
                                    "Batches found that duplicate another of ours: each may have cost money twice.")
                            .Add({});
  Family<Counter>& cost = all.counter(
      "batchd_cost_usd_total", "What the answers that this replica stored have cost, by their usage and [prices].", "deployment");
  Gauge& cost_today =
      all.gauge("batchd_cost_today_usd", "What merged shards have cost that were submitted on this UTC day.").Add({});
  Gauge& cost_reserved =
      all.gauge("batchd_budget_reserved_usd", "What shards under way that were submitted on this UTC day may cost.").Add({});
  Family<Gauge>& budget_remaining = all.gauge(
      "batchd_budget_remaining_usd", "What [budget] daily leaves of this UTC day, less what is reserved; absent without a cap.");
  Counter& leases_lost =
      all.counter("batchd_lease_lost_total", "Steps dropped because another replica had taken over the shard.").Add({});
  Counter& database_errors =
      all.counter("batchd_database_errors_total", "Database operations that failed and will be tried again.").Add({});
  Family<Gauge>& file_slots = all.gauge(
      "batchd_file_slots", "Files that the provider holds: ours, and the others when they were last counted.", "provider");
  Family<Gauge>& loop_age =
      all.gauge("batchd_loop_age_seconds", "Time since the loop's last complete pass; grows when a loop is stuck.", "loop");
  Family<Gauge>& unroutable =
      all.gauge("batchd_unroutable_requests",
                "Queued requests whose model, or whose endpoint with that model, no configured deployment takes.", "model");

  std::mutex mutex;  // guards what follows; prometheus-cpp guards itself
  std::map<std::string, Clock::time_point, std::less<>> beats;
  std::map<std::string, std::set<std::string>, std::less<>> pause_reasons;  // by deployment: reasons ever shown
  std::map<std::string, Gauge*> unroutable_models;
  Gauge* remaining = nullptr;  // of the day's cap, while there is one
};

Metrics::Metrics(std::string_view version) : impl_(std::make_unique<Impl>()) {
  impl_->build_info.Add({{"version", std::string(version)}}).Set(1);
  for (const char* state : {"queued", "in_flight", "settled", "accepted"}) impl_->requests.Add({{"state", state}});
  for (const char* state : {"planned", "uploaded", "submitted", "finished", "merged"}) impl_->shards.Add({{"state", state}});
  for (const char* outcome : {"succeeded", "failed", "cancelled", "expired"}) impl_->settled.Add({{"outcome", outcome}});
  for (const char* kind : {"unknown", "duplicate", "corrupt"}) impl_->ignored.Add({{"kind", kind}});
}

Metrics::~Metrics() = default;

void Metrics::provider_call(std::string_view provider, std::string_view operation, int code, std::chrono::duration<double> took) {
  const std::string p(provider);
  const std::string o(operation);
  impl_->calls.Add({{"provider", p}, {"operation", o}, {"code", std::to_string(code)}}).Increment();
  impl_->call_time.Add({{"provider", p}, {"operation", o}}, call_seconds).Observe(took.count());
}

void Metrics::requests_settled(Outcome outcome, std::int64_t count) {
  // Not to_string(outcome): a label is a promise to dashboards and stands here on its own.
  constexpr const char* names[] = {"succeeded", "failed", "cancelled", "expired"};
  impl_->settled.Add({{"outcome", names[static_cast<int>(outcome)]}}).Increment(static_cast<double>(count));
}

void Metrics::requests_returned(std::int64_t count) {
  impl_->returned.Increment(static_cast<double>(count));
}

void Metrics::output_lines_ignored(std::string_view kind, std::int64_t count) {
  impl_->ignored.Add({{"kind", std::string(kind)}}).Increment(static_cast<double>(count));
}

void Metrics::shard_planned(std::int64_t requests) {
  impl_->shard_requests.Observe(static_cast<double>(requests));
}

void Metrics::quota_refusal(std::string_view deployment) {
  impl_->quota_refusals.Add({{"deployment", std::string(deployment)}}).Increment();
}

void Metrics::duplicate_batch() {
  impl_->duplicates.Increment();
}

void Metrics::lease_lost() {
  impl_->leases_lost.Increment();
}

void Metrics::add_cost(std::string_view deployment, NanoDollars cost) {
  impl_->cost.Add({{"deployment", std::string(deployment)}}).Increment(in_dollars(cost));
}

void Metrics::database_error() {
  impl_->database_errors.Increment();
}

void Metrics::loop_beat(std::string_view loop) {
  const std::lock_guard lock(impl_->mutex);
  const auto known = impl_->beats.find(loop);
  if (known == impl_->beats.end()) {
    impl_->beats.emplace(loop, Clock::now());
  } else {
    known->second = Clock::now();
  }
}

void Metrics::set_requests(std::string_view state, std::int64_t count) {
  impl_->requests.Add({{"state", std::string(state)}}).Set(static_cast<double>(count));
}

void Metrics::set_shards(std::string_view state, std::int64_t count) {
  impl_->shards.Add({{"state", std::string(state)}}).Set(static_cast<double>(count));
}

void Metrics::set_oldest_queued(std::chrono::duration<double> age) {
  impl_->oldest_queued.Set(age.count());
}

void Metrics::set_deployment(std::string_view deployment, Tokens reserved, Tokens limit, Tokens believed) {
  const std::string name(deployment);
  impl_->reserved.Add({{"deployment", name}}).Set(static_cast<double>(reserved));
  impl_->limit.Add({{"deployment", name}}).Set(static_cast<double>(limit));
  impl_->believed.Add({{"deployment", name}}).Set(static_cast<double>(believed));
  impl_->quota_refusals.Add({{"deployment", name}});  // shown from the start
  impl_->cost.Add({{"deployment", name}});
}

void Metrics::set_lane_paused(std::string_view deployment, std::string_view reason) {
  const std::lock_guard lock(impl_->mutex);
  const std::string name(deployment);
  auto& seen = impl_->pause_reasons[name];
  if (!reason.empty()) seen.emplace(reason);
  for (const std::string& known : seen) {
    impl_->lane_paused.Add({{"deployment", name}, {"reason", known}}).Set(known == reason ? 1 : 0);
  }
}

void Metrics::set_submissions_unknown(std::int64_t count) {
  impl_->unknown.Set(static_cast<double>(count));
}

void Metrics::set_budget(NanoDollars spent, NanoDollars reserved, std::optional<NanoDollars> daily) {
  impl_->cost_today.Set(in_dollars(spent));
  impl_->cost_reserved.Set(in_dollars(reserved));
  const std::lock_guard lock(impl_->mutex);
  if (daily && !impl_->remaining) impl_->remaining = &impl_->budget_remaining.Add({});
  if (daily) impl_->remaining->Set(in_dollars(*daily - spent - reserved));
  if (!daily && impl_->remaining) impl_->budget_remaining.Remove(std::exchange(impl_->remaining, nullptr));
}

void Metrics::set_calls_withheld(std::string_view provider, bool withheld) {
  impl_->withheld.Add({{"provider", std::string(provider)}}).Set(withheld ? 1 : 0);
}

void Metrics::set_file_slots(std::string_view provider, std::int64_t used) {
  impl_->file_slots.Add({{"provider", std::string(provider)}}).Set(static_cast<double>(used));
}

void Metrics::set_unroutable(const std::vector<std::pair<std::string, std::int64_t>>& by_model) {
  auto largest = by_model;
  std::stable_sort(largest.begin(), largest.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::map<std::string, std::int64_t> shown;
  for (std::size_t i = 0; i < largest.size(); ++i) {
    shown[i < most_unroutable_models ? largest[i].first : std::string(other_models)] += largest[i].second;
  }

  const std::lock_guard lock(impl_->mutex);
  std::erase_if(impl_->unroutable_models, [&](const auto& entry) {
    if (shown.contains(entry.first)) return false;
    impl_->unroutable.Remove(entry.second);
    return true;
  });
  for (const auto& [model, count] : shown) {
    Gauge& gauge = impl_->unroutable.Add({{"model", model}});
    gauge.Set(static_cast<double>(count));
    impl_->unroutable_models[model] = &gauge;
  }
}

std::string Metrics::expose() const {
  {
    const std::lock_guard lock(impl_->mutex);
    const auto now = Clock::now();
    for (const auto& [loop, last] : impl_->beats) {
      impl_->loop_age.Add({{"loop", loop}}).Set(std::chrono::duration<double>(now - last).count());
    }
  }
  return impl_->all.text();
}

std::vector<MetricInfo> Metrics::describe() const {
  return impl_->all.families();
}

}  // namespace batchd
