// Asks the store every few seconds how things stand, and keeps the answer for whoever looks: the metrics, the status page,
// the probes. Those never wait for the database; what they show is at most a few seconds old and says how old it is.
#pragma once

#include "admin/status.hpp"
#include "db/store.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "runtime/clock.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace batchd {

class Reporter final : public StatusSource {
 public:
  Reporter(Store& store, Clock& clock, Log& log, Metrics& metrics, std::vector<Offer> offers, std::set<std::string> providers);

  Task<void> run();
  /// What start-up found out about the schema: "" when it fits.
  void schema_checked(std::string problem) { schema_problem_ = std::move(problem); }
  void identify(std::string instance, std::string replica);
  void stopping() { stopping_ = true; }

  StatusSnapshot snapshot() const override;
  Health health() const override;

 private:
  Task<void> look();
  void show(const StoreGauges& gauges);
  void tell_of_money(const DeploymentLoad& deployment, const BudgetGauges& budget);

  Store& store_;
  Clock& clock_;
  Log& log_;
  Metrics& metrics_;
  std::vector<Offer> offers_;
  std::set<std::string> providers_;
  std::string schema_problem_ = "the database has not answered yet";
  bool stopping_ = false;
  Clock::TimePoint started_;
  std::optional<Clock::TimePoint> looked_;
  StatusSnapshot snapshot_;
  std::set<std::string> short_of_money_;  // deployments, as was last told
};

}  // namespace batchd
