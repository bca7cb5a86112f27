// What metrics, pages and sleeping loops are told.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::SizeIs;

class Looking : public StoreConformance {};
CONFORMANCE_SUITE(Looking);

TEST_P(Looking, GaugesComeFromTheCounters) {
  const Term term = planner(1000);
  enqueue(5, "a");
  enqueue(3, "b");
  StoreGauges gauges = wait(store.gauges());
  EXPECT_EQ(gauges.accepted, 8);
  EXPECT_EQ(gauges.queued, 8) << "rolled up or not";
  EXPECT_EQ(gauges.in_flight, 0);
  Shard shard = planned(term, 4);
  shard = step(term, shard, Uploaded{FileId{"f"}, 100, 70});
  gauges = wait(store.gauges());
  EXPECT_EQ(gauges.in_flight, 4);
  EXPECT_EQ(gauges.shards.at("uploaded"), 1);
  EXPECT_EQ(gauges.shards.at("planned"), 0);
  EXPECT_EQ(gauges.deployments.at(0).staged, 1);
  EXPECT_EQ(gauges.deployments.at(0).staged_tokens, 70);
  EXPECT_EQ(gauges.files.at("prov"), 1);
  shard = step(term, shard, Intended{});
  EXPECT_EQ(wait(store.gauges()).submissions_unknown, 0) << "a POST on its way is not yet unknown";
  harness->pass(31s);
  EXPECT_EQ(wait(store.gauges()).submissions_unknown, 1) << "but it does not take that long";
  shard = step(term, shard, NotFoundInList{0ms});
  gauges = wait(store.gauges());
  EXPECT_EQ(gauges.submissions_unknown, 1);
  EXPECT_EQ(gauges.deployments.at(0).staged, 0);
  EXPECT_EQ(gauges.deployments.at(0).live, 1);
  EXPECT_EQ(gauges.deployments.at(0).reserved, 70);
  EXPECT_EQ(gauges.deployments.at(0).limit, 1000);
  wait(store.backlog());
  EXPECT_EQ(wait(store.gauges()).queued_by_lane.at({"m", "/v1/chat/completions"}), 4);
}

TEST_P(Looking, GaugesFollowARequestToItsEnd) {
  const Term term = planner();
  Shard shard = finished(term, 4);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  Settlement expired = failed(ids[2]);
  expired.outcome = Outcome::expired;
  ASSERT_TRUE(settle(term, shard, contents, {{answered(ids[0]), failed(ids[1]), expired}, {returned(ids[3])}}));
  StoreGauges gauges = wait(store.gauges());
  EXPECT_EQ(gauges.accepted, 4);
  EXPECT_EQ(gauges.queued, 1);
  EXPECT_EQ(gauges.in_flight, 0);
  EXPECT_EQ(gauges.settled.at("succeeded"), 1);
  EXPECT_EQ(gauges.settled.at("failed"), 1);
  EXPECT_EQ(gauges.settled.at("cancelled"), 0);
  EXPECT_EQ(gauges.settled.at("expired"), 1);
  EXPECT_EQ(gauges.files.at("prov"), 2) << "what went in and what came out";
  step(term, step(term, shard, Merged{}), Closed{});
  gauges = wait(store.gauges());
  EXPECT_FALSE(gauges.shards.contains("closed"));
  EXPECT_EQ(gauges.shards.at("merged"), 0);
  EXPECT_FALSE(gauges.files.contains("prov")) << "closed ones hold nothing";
}

TEST_P(Looking, UnfinishedJobsComeFirstThenTheLatest) {
  const Term term = planner();
  const auto jobs = [&](int most) {
    std::vector<std::string> names;
    for (const JobProgress& job : wait(store.jobs(most))) names.push_back(job.job);
    return names;
  };
  enqueue(1, "done");
  close(term, finish(term, planned(term)));
  harness->pass(1min);
  enqueue(1, "old");
  wait(store.backlog());
  harness->pass(1min);
  enqueue(2, "new");
  EXPECT_THAT(jobs(10), ::testing::ElementsAre("new", "old", "done"));
  EXPECT_THAT(jobs(2), ::testing::ElementsAre("new", "old"));
  const auto progress = wait(store.jobs(1)).at(0);
  EXPECT_EQ(progress.queued, 2);
  EXPECT_EQ(progress.in_flight, 0);
}

TEST_P(Looking, ARoundTripSucceeds) {
  EXPECT_NO_THROW(wait(store.ping()));
}

TEST_P(Looking, AProducersHintWakesWhoWaits) {
  wait(store.backlog());
  EXPECT_FALSE(wait(store.wait_for_hint(1ms))) << "nothing has come, and there was nothing to do";
  enqueue(1);
  EXPECT_TRUE(wait(store.wait_for_hint(60s)));
}

TEST_P(Looking, RetentionForgetsShardsThatClosedLongAgo) {
  const Term term = planner();
  close(term, finished(term, 1));
  harness->pass(1h);
  const Shard later = finished(term, 1);
  close(term, later);
  EXPECT_FALSE(wait(store.retire(term, 2h)));
  EXPECT_THAT(harness->picture().shards, SizeIs(2));
  EXPECT_FALSE(wait(store.retire(term, 30min))) << "there is no more";
  const auto left = harness->picture().shards;
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].id, later.id);
  EXPECT_THAT(harness->picture().results, SizeIs(2)) << "requests go by whole partitions";
}

}  // namespace
}  // namespace batchd::conformance
