// Drawn schedules whose replicas have to do with little money: a few requests' worth may be set aside at a time, so that shards
// are given up, made smaller, and wait. Whatever goes wrong besides, the cap holds and everything is answered in the end.
#include "simulation/schedule.hpp"
#include "simulation/simulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace batchd::simulation {
namespace {

using namespace std::chrono_literals;

/// A thousand nanodollars for each token of an answer. Answers have six.
constexpr std::int64_t output_price = 1'000'000;
constexpr Tokens assumed = 100;
constexpr NanoDollars bound_of_one = assumed * 1'000;

Schedule with_little_money(std::uint64_t seed) {
  Schedule schedule = draw_schedule(seed);
  std::set<std::string> models;
  for (const DeploymentConfig& deployment : schedule.config.deployments) models.insert(deployment.model);
  for (const std::string& model : models) schedule.config.prices.push_back({model, 0, {}, output_price, 0});
  // What all of them cost in the end is far less: everything fits into one day.
  const bool by_job = seed % 3 == 0;
  (by_job ? schedule.config.budget.per_job : schedule.config.budget.daily) = 12 * bound_of_one;
  schedule.config.budget.assumed_output = assumed;
  schedule.config.budget.max_output = assumed;
  schedule.config.budget.strict = seed % 2 == 0;
  return schedule;
}

class LittleMoney : public ::testing::Test {
 protected:
  void watch(Simulation& simulation, std::function<void()> look) {
    simulation.world().at(simulation.world().now() + 20ms, [this, &simulation, look = std::move(look)] {
      look();
      watch(simulation, look);
    });
  }
  Workbench bench;
};

TEST_F(LittleMoney, HoldsItsCapsWhateverGoesWrong) {
  std::int64_t waited = 0, spent = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const Schedule schedule = with_little_money(seed);
    Simulation simulation(schedule, bench, nullptr);
    bool passed = false, short_of_money = false;
    watch(simulation, [&] {
      const StoreGauges gauges = simulation.database().gauges();
      const std::optional<NanoDollars> daily = gauges.budget.daily;
      passed = passed || (daily && gauges.budget.spent + gauges.budget.reserved > *daily);
      for (const DeploymentLoad& load : gauges.deployments) short_of_money = short_of_money || load.needs_money;
    });
    const Verdict verdict = simulation.run();
    EXPECT_EQ(verdict.violation, "") << "seed " << seed;
    // A batch that turns up after commits were lost is there, whatever the cap says.
    if (!schedule.loses_commits()) {
      EXPECT_FALSE(passed) << "seed " << seed;
    }
    waited += short_of_money ? 1 : 0;
    spent += simulation.database().gauges().budget.spent;
  }
  EXPECT_GT(waited, 20) << "the caps were felt";
  EXPECT_GT(spent, 0);
}

}  // namespace
}  // namespace batchd::simulation
