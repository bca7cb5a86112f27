#include "metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>
#include <thread>

namespace batchd {
namespace {

using testing::HasSubstr;
using testing::Not;

/// The value of a series as exposed, such as `batchd_requests{state="queued"}`; nothing when it is not there.
std::optional<double> value(const Metrics& metrics, const std::string& series) {
  std::istringstream in(metrics.expose());
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return std::nullopt;
}

TEST(Metrics, EveryNameThatDashboardsRelyOnIsDeclared) {
  std::set<std::string> declared;
  const Metrics metrics("1.2.3");
  for (const MetricInfo& family : metrics.describe()) declared.insert(family.name + "{" + family.labels + "}");
  for (const char* name :
       {"batchd_build_info{version}", "batchd_requests{state}", "batchd_requests_settled_total{outcome}", "batchd_shards{state}",
        "batchd_oldest_queued_seconds{}", "batchd_tokens_reserved{deployment}", "batchd_tokens_limit{deployment}",
        "batchd_lane_paused{deployment,reason}", "batchd_provider_calls_total{provider,operation,code}",
        "batchd_provider_call_seconds{provider,operation}", "batchd_submissions_unknown{}", "batchd_duplicate_batches_total{}",
        "batchd_lease_lost_total{}", "batchd_database_errors_total{}", "batchd_file_slots{provider}",
        "batchd_loop_age_seconds{loop}", "batchd_unroutable_requests{model}"}) {
    EXPECT_TRUE(declared.contains(name)) << name;
  }
}

TEST(Metrics, MoneyIsInDollarsAndWhatIsLeftOfNoCapIsNotShown) {
  Metrics metrics("1.2.3");
  metrics.set_deployment("mini", 0, 10, 10);
  EXPECT_EQ(value(metrics, "batchd_cost_usd_total{deployment=\"mini\"}"), 0) << "there from the start";
  metrics.add_cost("mini", 1'500'000'000);
  metrics.add_cost("mini", 250'000'000);
  EXPECT_EQ(value(metrics, "batchd_cost_usd_total{deployment=\"mini\"}"), 1.75);
  metrics.set_budget(2'000'000'000, 500'000'000, std::nullopt);
  EXPECT_EQ(value(metrics, "batchd_cost_today_usd"), 2);
  EXPECT_EQ(value(metrics, "batchd_budget_reserved_usd"), 0.5);
  EXPECT_EQ(value(metrics, "batchd_budget_remaining_usd"), std::nullopt);
  metrics.set_budget(2'000'000'000, 500'000'000, 10'000'000'000);
  EXPECT_EQ(value(metrics, "batchd_budget_remaining_usd"), 7.5);
  metrics.set_budget(0, 0, std::nullopt);
  EXPECT_EQ(value(metrics, "batchd_budget_remaining_usd"), std::nullopt) << "the cap is gone";
}

TEST(Metrics, NamesFollowTheConventions) {
  const Metrics metrics("1.2.3");
  for (const MetricInfo& family : metrics.describe()) {
    EXPECT_TRUE(std::regex_match(family.name, std::regex("batchd_[a-z]+(_[a-z]+)*"))) << family.name;
    EXPECT_EQ(family.name.ends_with("_total"), family.type == "counter") << family.name;
    EXPECT_TRUE(family.help.ends_with('.')) << family.name << " needs a sentence";
    EXPECT_FALSE(std::regex_search(family.name, std::regex("_(milliseconds|ms|minutes|megabytes|mb)(_|$)"))) << family.name;
  }
}

TEST(Metrics, ClosedLabelSetsStandAtZeroFromTheStart) {
  const Metrics metrics("1.2.3");
  for (const char* series : {"batchd_requests{state=\"queued\"}",
                             "batchd_requests{state=\"in_flight\"}",
                             "batchd_requests{state=\"settled\"}",
                             "batchd_requests{state=\"accepted\"}",
                             "batchd_requests_settled_total{outcome=\"succeeded\"}",
                             "batchd_requests_settled_total{outcome=\"failed\"}",
                             "batchd_requests_settled_total{outcome=\"cancelled\"}",
                             "batchd_requests_settled_total{outcome=\"expired\"}",
                             "batchd_requests_returned_total",
                             "batchd_output_lines_ignored_total{kind=\"unknown\"}",
                             "batchd_output_lines_ignored_total{kind=\"duplicate\"}",
                             "batchd_output_lines_ignored_total{kind=\"corrupt\"}",
                             "batchd_shards{state=\"planned\"}",
                             "batchd_shards{state=\"uploaded\"}",
                             "batchd_shards{state=\"submitted\"}",
                             "batchd_shards{state=\"finished\"}",
                             "batchd_shards{state=\"merged\"}",
                             "batchd_shard_requests_count",
                             "batchd_oldest_queued_seconds",
                             "batchd_submissions_unknown",
                             "batchd_duplicate_batches_total",
                             "batchd_lease_lost_total",
                             "batchd_database_errors_total"}) {
    EXPECT_EQ(value(metrics, series), 0.0) << series;
  }
  EXPECT_EQ(value(metrics, "batchd_build_info{version=\"1.2.3\"}"), 1.0);
}

TEST(Metrics, CountsWhatItIsTold) {
  Metrics metrics("1");
  metrics.requests_settled(Outcome::succeeded, 3);
  metrics.requests_settled(Outcome::succeeded, 2);
  metrics.requests_settled(Outcome::expired, 1);
  metrics.requests_returned(7);
  metrics.output_lines_ignored("corrupt", 4);
  metrics.shard_planned(1'000);
  metrics.lease_lost();
  metrics.provider_call("eastus", "create", 429, std::chrono::milliseconds(250));
  metrics.provider_call("eastus", "create", 0, std::chrono::seconds(60));
  EXPECT_EQ(value(metrics, "batchd_requests_settled_total{outcome=\"succeeded\"}"), 5.0);
  EXPECT_EQ(value(metrics, "batchd_requests_settled_total{outcome=\"expired\"}"), 1.0);
  EXPECT_EQ(value(metrics, "batchd_requests_returned_total"), 7.0);
  EXPECT_EQ(value(metrics, "batchd_output_lines_ignored_total{kind=\"corrupt\"}"), 4.0);
  EXPECT_EQ(value(metrics, "batchd_shard_requests_sum"), 1'000.0);
  EXPECT_EQ(value(metrics, "batchd_lease_lost_total"), 1.0);
  EXPECT_EQ(value(metrics, "batchd_provider_calls_total{code=\"429\",operation=\"create\",provider=\"eastus\"}"), 1.0);
  EXPECT_EQ(value(metrics, "batchd_provider_call_seconds_count{operation=\"create\",provider=\"eastus\"}"), 2.0);
  EXPECT_EQ(value(metrics, "batchd_provider_call_seconds_sum{operation=\"create\",provider=\"eastus\"}"), 60.25);
}

TEST(Metrics, ALoopsAgeGrowsUntilItsNextBeat) {
  Metrics metrics("1");
  const std::string series = "batchd_loop_age_seconds{loop=\"plan\"}";
  EXPECT_EQ(value(metrics, series), std::nullopt);
  metrics.loop_beat("plan");
  const auto first = value(metrics, series);
  const auto second = value(metrics, series);
  ASSERT_TRUE(first && second);
  EXPECT_GE(*first, 0.0);
  EXPECT_GT(*second, *first);
}

TEST(Metrics, APausedLaneShowsOneReasonAtATime) {
  Metrics metrics("1");
  metrics.set_lane_paused("d", "account");
  EXPECT_EQ(value(metrics, "batchd_lane_paused{deployment=\"d\",reason=\"account\"}"), 1.0);
  metrics.set_lane_paused("d", "manual");
  EXPECT_EQ(value(metrics, "batchd_lane_paused{deployment=\"d\",reason=\"account\"}"), 0.0);
  EXPECT_EQ(value(metrics, "batchd_lane_paused{deployment=\"d\",reason=\"manual\"}"), 1.0);
  metrics.set_lane_paused("d", "");
  EXPECT_EQ(value(metrics, "batchd_lane_paused{deployment=\"d\",reason=\"manual\"}"), 0.0);
}

TEST(Metrics, ModelsThatAreServedAgainDisappear) {
  Metrics metrics("1");
  metrics.set_unroutable({{"gpt-x", 5}, {"gpt-y", 6}});
  EXPECT_EQ(value(metrics, "batchd_unroutable_requests{model=\"gpt-x\"}"), 5.0);
  metrics.set_unroutable({{"gpt-y", 7}});
  EXPECT_EQ(value(metrics, "batchd_unroutable_requests{model=\"gpt-x\"}"), std::nullopt);
  EXPECT_EQ(value(metrics, "batchd_unroutable_requests{model=\"gpt-y\"}"), 7.0);
  metrics.set_unroutable({});
  EXPECT_THAT(metrics.expose(), Not(HasSubstr("batchd_unroutable_requests{")));
}

TEST(Metrics, ProducersCannotMakeSeriesWithoutEnd) {
  Metrics metrics("1");
  std::vector<std::pair<std::string, std::int64_t>> models;
  for (int i = 0; i < 1'000; ++i) models.emplace_back("model-" + std::to_string(i), i + 1);
  metrics.set_unroutable(models);
  const std::string text = metrics.expose();
  std::size_t series = 0;
  for (std::size_t at = 0; (at = text.find("\nbatchd_unroutable_requests{", at)) != std::string::npos; ++at) ++series;
  EXPECT_EQ(series, 51U);
  EXPECT_EQ(value(metrics, "batchd_unroutable_requests{model=\"model-999\"}"), 1'000.0);
  EXPECT_EQ(value(metrics, "batchd_unroutable_requests{model=\"(other)\"}"), 950.0 * 951.0 / 2.0);
}

TEST(Metrics, LabelsAreEscaped) {
  Metrics metrics("1");
  metrics.set_unroutable({{"a\"b\\c\nd", 1}});
  EXPECT_THAT(metrics.expose(), HasSubstr(R"(batchd_unroutable_requests{model="a\"b\\c\nd"} 1)"));
}

TEST(Metrics, MayBeScrapedWhileEveryoneReports) {
  Metrics metrics("1");
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&metrics] {
      for (int i = 0; i < 500; ++i) {
        metrics.provider_call("p", "list", 200, std::chrono::milliseconds(1));
        metrics.loop_beat("poll");
        metrics.set_lane_paused("d", i % 2 == 0 ? "account" : "");
        metrics.set_unroutable({{"m" + std::to_string(i % 7), 1}});
      }
    });
  }
  for (int i = 0; i < 50; ++i) EXPECT_THAT(metrics.expose(), HasSubstr("batchd_requests{"));
  threads.clear();
  EXPECT_EQ(value(metrics, "batchd_provider_calls_total{code=\"200\",operation=\"list\",provider=\"p\"}"), 2'000.0);
}

}  // namespace
}  // namespace batchd
