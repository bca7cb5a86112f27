// Every metric batchd reports, declared once with its name, help and labels (README, "Metrics", is tested against this).
// Names follow prometheus.io conventions; label sets are closed and hold no ids and no error texts.
// Gauges about the whole database carry the same value on every replica: aggregate them with max(), never sum().
#pragma once

#include "core/money.hpp"
#include "core/outcome.hpp"
#include "core/types.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// A family as documented: what README's table must list.
struct MetricInfo {
  std::string name;
  std::string type;    ///< counter | gauge | histogram
  std::string labels;  ///< comma-separated, "" for none
  std::string help;
};

/// Thread-safe: any thread may report, a scrape may run at any time.
class Metrics {
 public:
  explicit Metrics(std::string_view version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Counters and histograms of this replica.
  /// `code` is the HTTP status, 0 when there was no answer.
  void provider_call(std::string_view provider, std::string_view operation, int code, std::chrono::duration<double> took);
  void requests_settled(Outcome outcome, std::int64_t count);
  void requests_returned(std::int64_t count);
  /// Lines of output files that were not applied; kind: unknown | duplicate | corrupt.
  void output_lines_ignored(std::string_view kind, std::int64_t count);
  void shard_planned(std::int64_t requests);
  void quota_refusal(std::string_view deployment);
  void duplicate_batch();
  void lease_lost();
  /// What answers stored by this replica have cost.
  void add_cost(std::string_view deployment, NanoDollars cost);
  void database_error();
  /// One pass of a loop ended: `batchd_loop_age_seconds{loop}` counts from here.
  void loop_beat(std::string_view loop);

  // Gauges, set from the store's counters.
  void set_requests(std::string_view state, std::int64_t count);
  void set_shards(std::string_view state, std::int64_t count);
  void set_oldest_queued(std::chrono::duration<double> age);
  void set_deployment(std::string_view deployment, Tokens reserved, Tokens limit, Tokens believed);
  /// `reason` "" when the lane is not paused.
  void set_lane_paused(std::string_view deployment, std::string_view reason);
  void set_submissions_unknown(std::int64_t count);
  /// Of the UTC day; `daily` is the cap, nothing when there is none.
  void set_budget(NanoDollars spent, NanoDollars reserved, std::optional<NanoDollars> daily);
  void set_calls_withheld(std::string_view provider, bool withheld);
  void set_file_slots(std::string_view provider, std::int64_t used);
  /// Replaces the whole family: models not named any more disappear.
  void set_unroutable(const std::vector<std::pair<std::string, std::int64_t>>& by_model);

  /// The text exposition format, version 0.0.4.
  std::string expose() const;
  /// Every family, for the docs test.
  std::vector<MetricInfo> describe() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchd
