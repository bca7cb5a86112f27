// Schedules written by hand: what seeds have found once, so that it stays found however the drawing of schedules changes.
#include "core/remote_names.hpp"
#include "core/request_line.hpp"
#include "simulation/quiet_schedule.hpp"
#include "simulation/simulation.hpp"

#include <gtest/gtest.h>

namespace batchd::simulation {
namespace {

using namespace std::chrono_literals;

class Scenario : public ::testing::Test {
 protected:
  /// Calls `look` every ten milliseconds until it returns false.
  void watch(Simulation& simulation, std::function<bool()> look) {
    simulation.world().at(simulation.world().now() + 10ms, [this, &simulation, look = std::move(look)] {
      if (look()) watch(simulation, look);
    });
  }
  Workbench bench;
};

TEST_F(Scenario, AnInputFileThatSomebodyDeletesIsSentAnew) {
  Schedule schedule = quiet(1, 1);
  schedule.events = {{0ms, Incident::enqueue, 0, 2, {}}};
  Simulation simulation(schedule, bench, nullptr);
  bool deleted = false;
  watch(simulation, [&] {
    FakeCloud& cloud = simulation.cloud(0);
    if (!cloud.ledger().batches.empty()) return false;
    const auto page = cloud.list_files(std::nullopt);
    for (const RemoteFile& file : page->files) {
      cloud.delete_by_hand(file.id);
      deleted = true;
    }
    return !deleted;
  });
  const Verdict verdict = simulation.run();
  EXPECT_TRUE(deleted);
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.succeeded, 2);
  EXPECT_EQ(verdict.tally.billed, 2);
}

TEST_F(Scenario, AnAnswerIsNotGivenToAnotherRequestThatGotItsNumber) {
  Schedule schedule = quiet(2, 1);
  schedule.events = {{0ms, Incident::enqueue, 0, 1, {}},
                     {1000ms, Incident::backup, 0, 0, {}},
                     {1010ms, Incident::enqueue, 0, 4, {}},
                     {2500ms, Incident::promote, 0, 0, {}},
                     {2510ms, Incident::enqueue, 0, 4, {}}};
  Simulation simulation(schedule, bench, nullptr);
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.succeeded, 5);
  EXPECT_GT(verdict.tally.billed, 5) << "the lost requests had been submitted";
}

TEST_F(Scenario, AfterALossOfCommitsNothingIsPlannedAnywhereBeforeEveryListAgrees) {
  Schedule schedule = quiet(2, 2);
  schedule.clouds[0].list_lag = {1s, 1s};
  // All of them wait at the time of the backup, and are in batches at both providers when its commits are lost.
  schedule.events = {
      {0ms, Incident::enqueue, 0, 12, {}}, {20ms, Incident::backup, 0, 0, {}}, {2900ms, Incident::promote, 0, 0, {}}};
  Simulation simulation(schedule, bench, nullptr);
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.succeeded, 12);
  EXPECT_EQ(verdict.tally.billed, 12);
}

/// Two requests that wait in the backup are in a batch when its commits are lost.
Schedule lost_announcement() {
  Schedule schedule = quiet(2, 1);
  schedule.clouds[0].running = {6s, 6s};
  schedule.events = {
      {0ms, Incident::enqueue, 0, 2, {}}, {20ms, Incident::backup, 0, 0, {}}, {2000ms, Incident::promote, 0, 0, {}}};
  return schedule;
}

TEST_F(Scenario, AfterALossABatchThatShowsNoMetadataIsKnownByTheNameOfItsFile) {
  Schedule schedule = lost_announcement();
  schedule.clouds[0].faults[CloudFault::no_metadata] = 1;
  Simulation simulation(schedule, bench, nullptr);
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.billed, 2);
}

TEST_F(Scenario, AfterALossTheInputOfABatchThatShowsNoneIsKnownByItsName) {
  Schedule schedule = lost_announcement();
  schedule.clouds[0].faults[CloudFault::no_input_id] = 1;
  Simulation simulation(schedule, bench, nullptr);
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.billed, 2);
}

TEST_F(Scenario, AfterALossAnInputFileThatComesShortIsReadAgain) {
  const Schedule schedule = lost_announcement();
  Simulation simulation(schedule, bench, nullptr);
  simulation.world().at(2s, [&] { simulation.cloud(0).faults()[CloudFault::download_short] = 1; });
  simulation.world().at(7s, [&] { simulation.cloud(0).faults()[CloudFault::download_short] = 0; });
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.billed, 2);
}

TEST_F(Scenario, ABatchThatALostPastSubmittedUnderAShardsNumberIsNotTheShards) {
  Schedule schedule = quiet(1, 1);
  schedule.config.retry.settle_window = 10s;
  schedule.clouds[0].faults[CloudFault::no_answer] = 0.5;
  schedule.clouds[0].faults[CloudFault::listed_late] = 1;
  schedule.clouds[0].late_listing = {6s, 6s};
  schedule.events = {{500ms, Incident::backup, 0, 0, {}},
                     {510ms, Incident::enqueue, 0, 2, {}},
                     {2500ms, Incident::promote, 0, 0, {}},
                     {2510ms, Incident::enqueue, 0, 2, {}}};
  for (schedule.seed = 1; schedule.seed <= 40; ++schedule.seed) {
    Simulation simulation(schedule, bench, nullptr);
    const Verdict verdict = simulation.run();
    ASSERT_EQ(verdict.violation, "") << "seed " << schedule.seed;
    ASSERT_EQ(verdict.tally.succeeded, 2) << "seed " << schedule.seed;
  }
}

/// To a database that was put back, whoever is silent for a moment has been so since the backup, and is buried by a replica that
/// is new.
TEST_F(Scenario, AReplicaThatARestoredDatabaseBuriesTellsOfTheLoss) {
  Schedule schedule = quiet(2, 1);
  for (Milliseconds backup = 2500ms; backup <= 4500ms; backup += 50ms) {
    schedule.seed = static_cast<std::uint64_t>(backup.count());
    schedule.events = {{0ms, Incident::enqueue, 0, 2, {}},
                       {backup, Incident::backup, 0, 0, {}},
                       {12'000ms, Incident::kill, 0, 0, {}},
                       {12'010ms, Incident::restore, 0, 0, {}}};
    Simulation simulation(schedule, bench, nullptr);
    const Verdict verdict = simulation.run();
    ASSERT_EQ(verdict.violation, "") << "backup at " << backup.count() << " ms";
  }
}

TEST_F(Scenario, RequestsThatAProviderRefusesWithoutAWordEndEvenWhenTheyAreAllThatIsLeft) {
  Schedule schedule = quiet(1, 1);
  schedule.events = {{0ms, Incident::enqueue, 0, 6, {}}};
  Simulation simulation(schedule, bench, nullptr);
  simulation.world().at(5s, [&] {
    for (int i = 0; i < 2; ++i) {
      NewRequest request;
      request.model = "m";
      request.body = R"({"messages":[{"role":"user","content":"cloud:silent )" + std::to_string(i) + R"("}]})";
      simulation.enqueue(request);
    }
  });
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.succeeded, 6);
  EXPECT_EQ(verdict.tally.failed, 2);
}

TEST_F(Scenario, AResultFileThatIsDeniedOnceAmongManyFailuresIsReadLater) {
  Schedule schedule = quiet(1, 1);
  schedule.config.retry.max_delay = 500ms;
  schedule.clouds[0].faults[CloudFault::download_cut] = 1;
  schedule.events = {{0ms, Incident::enqueue, 0, 2, {}}};
  Simulation simulation(schedule, bench, nullptr);
  simulation.world().at(15s, [&] {
    CloudFaults& faults = simulation.cloud(0).faults();
    faults[CloudFault::download_cut] = 0;
    faults[CloudFault::download_denied] = 1;
    watch(simulation, [&] {
      if (simulation.cloud(0).struck(CloudFault::download_denied) > 0) faults[CloudFault::download_denied] = 0;
      return faults[CloudFault::download_denied] > 0;
    });
  });
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.billed, 2);
}

TEST_F(Scenario, AResultFileThatIsDeniedAndCutShortByTurnsIsReadLater) {
  Schedule schedule = quiet(1, 1);
  schedule.config.retry.max_delay = 500ms;
  schedule.clouds[0].faults[CloudFault::download_denied] = 1;
  schedule.events = {{0ms, Incident::enqueue, 0, 2, {}}};
  Simulation simulation(schedule, bench, nullptr);
  FakeCloud& cloud = simulation.cloud(0);
  std::uint32_t turns = 0;
  watch(simulation, [&] {
    const std::uint32_t struck = cloud.struck(CloudFault::download_denied) + cloud.struck(CloudFault::download_short);
    if (struck == turns) return true;
    turns = struck;
    cloud.faults()[CloudFault::download_denied] = turns < 24 && turns % 2 == 0 ? 1 : 0;
    cloud.faults()[CloudFault::download_short] = turns < 24 && turns % 2 == 1 ? 1 : 0;
    return turns < 24;
  });
  const Verdict verdict = simulation.run();
  EXPECT_EQ(turns, 24U);
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.billed, 2);
}

TEST_F(Scenario, ABatchThatIsSeenAgainIsNotGivenUpForDenialsBeforeThat) {
  Schedule schedule = quiet(1, 1);
  schedule.calm = 30s;
  schedule.clouds[0].running = {25s, 25s};
  schedule.clouds[0].late_listing = {40s, 40s};
  schedule.clouds[0].faults[CloudFault::listed_late] = 1;
  schedule.events = {{0ms, Incident::enqueue, 0, 2, {}}};
  Simulation simulation(schedule, bench, nullptr);
  const std::pair<Milliseconds, double> turns[] = {{3s, 1}, {11s, 0}, {13s, 1}, {21s, 0}};
  for (const auto& [when, chance] : turns) {
    simulation.world().at(when, [&simulation, chance = chance] { simulation.cloud(0).faults()[CloudFault::denied] = chance; });
  }
  const Verdict verdict = simulation.run();
  EXPECT_GT(simulation.cloud(0).struck(CloudFault::denied), 10);
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.billed, 2);
}

TEST_F(Scenario, AfterALossABatchThatNeverSaysHowManyItAnsweredIsNotBoughtAgainUnasked) {
  Schedule schedule = lost_announcement();
  schedule.clouds[0].running = {1s, 1s};
  schedule.clouds[0].faults[CloudFault::no_counts] = 1;
  schedule.clouds[0].faults[CloudFault::download_cut] = 1;
  schedule.events.back().at = 5s;
  Simulation simulation(schedule, bench, nullptr);
  simulation.world().at(5s, [&] { simulation.cloud(0).faults()[CloudFault::download_cut] = 0; });
  watch(simulation, [&] {
    FakeCloud& cloud = simulation.cloud(0);
    if (cloud.ledger().batches.empty() || !cloud.ledger().batches[0].over) return true;
    cloud.delete_by_hand(cloud.ledger().batches[0].input);
    return false;
  });
  std::size_t unasked = 0;
  simulation.world().at(schedule.calm - 1s, [&] { unasked = simulation.cloud(0).ledger().batches.size(); });
  EXPECT_EQ(simulation.run().violation, "");
  EXPECT_EQ(unasked, 1U) << "what was paid for and cannot be told waits for a person";
}

TEST_F(Scenario, AfterALossTheInputOfABatchIsNotTakenForWhatWasUploadedUnderItsNameSince) {
  for (Milliseconds backup = 300ms; backup < 600ms; backup += 20ms) {
    Schedule schedule = lost_announcement();
    schedule.clouds[0].running = {12s, 12s};
    schedule.clouds[0].faults[CloudFault::no_input_id] = 1;
    schedule.events[1].at = backup;
    for (schedule.seed = 1; schedule.seed <= 5; ++schedule.seed) {
      Simulation simulation(schedule, bench, nullptr);
      const auto no_list = [&](double chance) {
        return [&, chance] { simulation.cloud(0).faults()[CloudFault::page_stuck] = chance; };
      };
      simulation.world().at(1990ms, no_list(1));
      simulation.world().at(6s, no_list(0));
      ASSERT_EQ(simulation.run().violation, "") << backup.count() << " ms, seed " << schedule.seed;
    }
  }
}

TEST_F(Scenario, AfterALossABatchWhoseNumberAnotherShardHasGotIsBoundToItsOwnRequests) {
  // `m` waits for its lane; `n` has got the first shard, and its lane is paused before that is submitted.
  Schedule schedule = quiet(1, 1);
  schedule.config.deployments.push_back({"d1", "p0", "n", 1'000'000});
  schedule.events = {{900ms, Incident::pause_lane, 0, 0, 10s},
                     {1002ms, Incident::enqueue, 0, 0, {}},
                     {1120ms, Incident::pause_lane, 0, 1, 10s},
                     {1900ms, Incident::backup, 0, 0, {}},
                     {2100ms, Incident::promote, 0, 0, {}}};
  Simulation simulation(schedule, bench, nullptr);
  const auto asked = [](const std::string& model) { return R"({"messages":[{"role":"user","content":")" + model + R"("}]})"; };
  simulation.world().at(1s, [&] {
    for (const char* const model : {"m", "n"}) {
      NewRequest request;
      request.model = model;
      request.body = asked(model);
      simulation.enqueue(request);
    }
  });
  // In a past that is lost the first shard was that of `m`.
  simulation.world().at(2s, [&] {
    ASSERT_EQ(simulation.database().shards().size(), 1U);
    FakeCloud& cloud = simulation.cloud(0);
    ASSERT_TRUE(cloud.ledger().batches.empty());
    const std::string instance = simulation.database().instance_id();
    std::string line;
    append_request_line(line, {RequestId{1}, 1}, {"/v1/chat/completions", "m", 1000}, asked("m"));
    NewBatch order;
    order.input_file_id = cloud.upload(line, input_file_name(instance, ShardId{1}, 1))->id;
    order.endpoint = "/v1/chat/completions";
    order.metadata = batch_metadata(instance, ShardId{1}, 1);
    ASSERT_TRUE(cloud.create_batch(order));
  });
  const Verdict verdict = simulation.run();
  EXPECT_EQ(verdict.violation, "");
  EXPECT_EQ(verdict.tally.billed, 2);
}

TEST_F(Scenario, SchedulesThatOnceBrokeEndWell) {
  for (const std::uint64_t seed : {12104U, 73979U, 108965U, 215096U, 233006U, 255705U, 258602U, 286129U, 354271U}) {
    const Schedule schedule = draw_schedule(seed);
    Simulation simulation(schedule, bench, nullptr);
    EXPECT_EQ(simulation.run().violation, "") << "seed " << seed;
  }
}

TEST_F(Scenario, AnEarlierAttemptsBatchIsNotTakenForThisOnesWhenNeitherSaysWhichItIs) {
  Schedule schedule = quiet(1, 1);
  schedule.clouds[0].newest_first = false;
  schedule.clouds[0].faults[CloudFault::no_metadata] = 1;
  schedule.events = {{0ms, Incident::enqueue, 0, 2, {}}};
  std::uint32_t unanswered = 0;
  for (schedule.seed = 1; schedule.seed <= 20; ++schedule.seed) {
    Simulation simulation(schedule, bench, nullptr);
    FakeCloud& cloud = simulation.cloud(0);
    cloud.faults()[CloudFault::account_failed] = 1;
    watch(simulation, [&] {
      const std::vector<ShardView> shards = simulation.database().shards();
      const bool again = !shards.empty() && shards[0].shard.attempt == 2 && shards[0].shard.intent;
      const std::size_t batches = cloud.ledger().batches.size();
      cloud.faults()[CloudFault::account_failed] = batches == 0 ? 1 : 0;
      cloud.faults()[CloudFault::no_answer] = again && batches == 1 ? 1 : 0;
      return batches < 2;
    });
    const Verdict verdict = simulation.run();
    unanswered += cloud.struck(CloudFault::no_answer);
    ASSERT_EQ(verdict.violation, "") << "seed " << schedule.seed;
    ASSERT_EQ(verdict.tally.billed, 2) << "seed " << schedule.seed;
  }
  EXPECT_GT(unanswered, 0);
}

}  // namespace
}  // namespace batchd::simulation
