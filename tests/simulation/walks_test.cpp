// How many pages of a provider's list are read, and when: the product's own stages, counted by the provider, in virtual time.
#include "simulation/quiet_schedule.hpp"
#include "simulation/simulation.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <vector>

namespace batchd::simulation {
namespace {

using namespace std::chrono_literals;

constexpr int page = 100;

/// One replica, one account with batches of others in it, batches of ours that run for two hours.
Schedule account(int foreign_batches, int ours) {
  Schedule schedule = quiet(1, 1);
  Config& config = schedule.config;
  config.planner.max_requests = 1;
  config.poll.interval = 60s;
  config.retry.settle_window = 30s;
  config.deployments[0].enqueued_token_limit = 1'000'000'000;
  CloudSettings& cloud = schedule.clouds[0];
  cloud.page_size = page;
  cloud.foreign_batches = foreign_batches;
  cloud.running = {2h, 2h};
  schedule.events = {{30'000ms, Incident::enqueue, 0, ours, {}}};
  schedule.calm = 100min;  // it is over no earlier
  schedule.end = 4h;
  return schedule;
}

struct Counted {
  int calls = 0;
  int batch_pages = 0;
  std::size_t ours = 0;
};

class Walks : public ::testing::Test {
 protected:
  /// What the provider has counted by some moments of a run, which must end well.
  std::vector<Counted> run(const Schedule& schedule, const std::vector<Milliseconds>& moments) {
    Simulation simulation(schedule, bench_, nullptr);
    std::vector<Counted> counted;
    for (const Milliseconds moment : moments) {
      simulation.world().at(moment, [&counted, &simulation] {
        const Ledger& ledger = simulation.cloud(0).ledger();
        Counted now{ledger.calls, ledger.batch_pages, 0};
        for (const BatchEntry& batch : ledger.batches) now.ours += batch.foreign ? 0 : 1;
        counted.push_back(now);
      });
    }
    const Verdict verdict = simulation.run();
    EXPECT_EQ(verdict.violation, "");
    if (counted.size() != moments.size()) throw std::runtime_error("it was over before");
    return counted;
  }

  Workbench bench_;
};

TEST_F(Walks, AThousandBatchesCostTheirPagesAndAtMostTwoCallsMoreAMinute) {
  const auto counted = run(account(200, 800), {60min, 61min, 90min});
  ASSERT_EQ(counted.front().ours, 800u);
  const int minutes = 30;
  EXPECT_LE(counted[2].calls - counted[0].calls, minutes * (1000 / page + 2));
  EXPECT_GE(counted[2].batch_pages - counted[0].batch_pages, minutes * 7) << "they are looked at every minute or so";
}

TEST_F(Walks, AnOrdinaryOneEndsWhenEveryLiveBatchHasBeenSeen) {
  const auto counted = run(account(350, 3), {30min, 60min});
  ASSERT_EQ(counted.front().ours, 3u);
  const int pages = counted[1].batch_pages - counted[0].batch_pages;
  EXPECT_GE(pages, 25);
  EXPECT_LE(pages, 30) << "ours are the newest, on the first of four pages";
}

TEST_F(Walks, AtTheStartOneReadsTheWholeList) {
  const auto counted = run(account(350, 1), {29'000ms});
  ASSERT_EQ(counted.front().ours, 0u);
  EXPECT_EQ(counted.front().batch_pages, 4);
}

TEST_F(Walks, ForASubmissionWithoutAnAnswerTheWholeListIsReadAtLeastTwiceBeforeItIsMadeAnew) {
  const Schedule schedule = account(350, 1);
  Simulation simulation(schedule, bench_, nullptr);
  std::optional<int> before;
  std::optional<int> after;
  // The first POST gets a 5xx, and no batch: found nowhere, its input is deleted and sent again.
  std::function<void()> look = [&] {
    FakeCloud& cloud = simulation.cloud(0);
    if (!before && cloud.files() > 0) {
      before = cloud.ledger().batch_pages;
      cloud.strike_next(CloudFault::no_effect);
    }
    if (cloud.living() > 0) after = cloud.ledger().batch_pages;
    if (!after) simulation.world().at(simulation.world().now() + 10ms, look);
  };
  simulation.world().at(30s, look);
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  ASSERT_TRUE(before && after);
  EXPECT_GE(*after - *before, 2 * 4);
  EXPECT_EQ((*after - *before) % 4, 0) << "never a part of it";
}

}  // namespace
}  // namespace batchd::simulation
