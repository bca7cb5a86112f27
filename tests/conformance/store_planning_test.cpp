// From the queue to shards: what is taken, in which order, up to which limits.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Planning : public StoreConformance {
 protected:
  std::vector<RequestId> sorted_members(ShardId shard) {
    auto ids = members(shard);
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  /// A body of so many bytes.
  static Prompt sized(std::size_t bytes) {
    Prompt prompt;
    prompt.body = "\"" + std::string(bytes - 2, 'x') + "\"";
    return prompt;
  }
};
CONFORMANCE_SUITE(Planning);

TEST_P(Planning, TakesEverythingOnceInOrder) {
  const Term term = planner();
  const auto ids = enqueue(25);
  const auto first = plan(term, 10);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->requests, 10);
  EXPECT_EQ(sorted_members(first->id), std::vector<RequestId>(ids.begin(), ids.begin() + 10));
  EXPECT_EQ(plan(term, 10)->requests, 10);
  EXPECT_EQ(plan(term, 10)->requests, 5);
  EXPECT_FALSE(plan(term, 10));
  EXPECT_THAT(wait(store.backlog()), IsEmpty());
}

TEST_P(Planning, AShardIsMadeAsItWasOrdered) {
  const Term term = planner();
  Prompt urgent;
  urgent.job = "urgent";
  urgent.priority = 5;
  enqueue(2);
  enqueue(1, urgent);
  const auto made = plan(term);
  ASSERT_TRUE(made);
  const Shard shard = leased(term, made->id, ShardState::planned);
  EXPECT_EQ(shard.lane, (Lane{"m", "/v1/chat/completions"}));
  EXPECT_EQ(shard.deployment, "dep");
  EXPECT_EQ(shard.provider, "prov");
  EXPECT_EQ(shard.priority, 5) << "that of the most urgent";
  EXPECT_EQ(shard.attempt, 1);
  EXPECT_EQ(shard.requests, 3);
  EXPECT_EQ(shard.bytes, 3 * (7 + 100));
  EXPECT_EQ(shard.bytes, made->bytes);
  EXPECT_EQ(shard.tokens, 161) << "half a token a byte, rounded up";
  EXPECT_EQ(shard.reserved, 0);
  EXPECT_FALSE(shard.intent);
  EXPECT_FALSE(shard.input_file);
  EXPECT_EQ(shard.finish_reason, FinishReason::none);
  EXPECT_FALSE(shard.unwanted);
  EXPECT_FALSE(shard.doubtful);
}

TEST_P(Planning, NeedsTheRole) {
  enqueue(10);
  const Term term = join();
  wait(store.publish(term, {{"dep", "prov", "m", 100}}));
  EXPECT_FALSE(plan(term));
  EXPECT_TRUE(wait(store.hold_role(term, "plan")));
  const Term other = join();
  EXPECT_FALSE(plan(other));
  EXPECT_TRUE(plan(term));
}

TEST_P(Planning, NeedsAConfiguredDeployment) {
  const Term term = planner();
  enqueue(1);
  PlanOrder order = order_for_all();
  order.deployment = "nobody's";
  EXPECT_FALSE(wait(store.plan(term, order)));
  EXPECT_TRUE(plan(term));
}

TEST_P(Planning, TakesOnlyTheFlowsOfItsLaneThatAreNamed) {
  const Term term = planner();
  Prompt embedding;
  embedding.endpoint = "/v1/embeddings";
  const auto others = enqueue(2, embedding);
  const auto mine = enqueue(2, "mine");
  const auto rest = enqueue(2, "rest");
  PlanOrder order;
  order.lane = {"m", "/v1/chat/completions"};
  order.deployment = "dep";
  order.max_requests = 100;
  order.max_bytes = 1'000'000;
  for (const Flow& flow : wait(store.backlog())) {
    if (flow.job != "rest") order.flows.push_back(flow.id);
  }
  EXPECT_THAT(order.flows, SizeIs(2));
  const auto made = wait(store.plan(term, order));
  ASSERT_TRUE(made);
  EXPECT_EQ(sorted_members(made->id), mine);
  EXPECT_EQ(state_of(rest[0]), "queued");
  EXPECT_EQ(state_of(others[0]), "queued");
}

TEST_P(Planning, TakesTheFlowsInTheOrderGiven) {
  const Term term = planner();
  const auto a = enqueue(3, "a");
  const auto b = enqueue(3, "b");
  PlanOrder order = order_for_all(4);
  std::map<std::string, FlowId> flows;
  for (const Flow& flow : wait(store.backlog())) flows[flow.job] = flow.id;
  order.flows = {flows["b"], flows["a"]};
  const auto made = wait(store.plan(term, order));
  ASSERT_TRUE(made);
  EXPECT_EQ(sorted_members(made->id), (std::vector<RequestId>{a[0], b[0], b[1], b[2]}));
  const ShardContents contents = wait(store.contents(made->id));
  EXPECT_EQ(contents.members.flow_at(0), flows["b"]);
  EXPECT_EQ(contents.members.flow_at(3), flows["a"]);
}

TEST_P(Planning, StopsAtTheFilesBytes) {
  const Term term = planner();
  enqueue(10, sized(1000));
  PlanOrder order = order_for_all();
  order.max_bytes = 3 * (1000 + 100) + 50;
  const auto shard = wait(store.plan(term, order));
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->requests, 3);
  EXPECT_EQ(shard->bytes, 3300);
  EXPECT_EQ(row_of(shard->id).tokens, 1650);
}

TEST_P(Planning, TakesARequestAloneThatIsTooBigForAnyFile) {
  const Term term = planner();
  const auto big = enqueue(1, sized(5000));
  enqueue(3);
  PlanOrder order = order_for_all();
  order.max_bytes = 1000;
  const auto alone = wait(store.plan(term, order));
  EXPECT_EQ(sorted_members(alone->id), big);
  EXPECT_EQ(wait(store.plan(term, order))->requests, 3);
}

TEST_P(Planning, DoesNotPassOverARequestThatDoesNotFit) {
  const Term term = planner();
  const auto first = enqueue(2);
  enqueue(1, sized(5000));
  enqueue(2);
  PlanOrder order = order_for_all();
  order.max_bytes = 1000;
  EXPECT_EQ(sorted_members(wait(store.plan(term, order))->id), first);
  EXPECT_EQ(wait(store.plan(term, order))->requests, 1);
  EXPECT_EQ(wait(store.plan(term, order))->requests, 2);
}

TEST_P(Planning, FillsAShardFromManySmallJobs) {
  const Term term = planner();
  std::vector<Prompt> prompts;
  for (int i = 0; i < 60; ++i) {
    Prompt prompt;
    prompt.job = "job " + std::to_string(i % 30);
    prompts.push_back(prompt);
  }
  harness->enqueue(prompts);
  const auto shard = plan(term);
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->requests, 60);
  const ShardContents contents = wait(store.contents(shard->id));
  EXPECT_THAT(contents.members.chunks(), SizeIs(30));
  EXPECT_EQ(contents.members.size(), 60U);
  EXPECT_EQ(contents.decided.count(), 0U);
  EXPECT_THAT(contents.attempts, IsEmpty());
}

TEST_P(Planning, ServesReturnedRequestsFirstAndNotBeforeTheyAreDue) {
  const Term term = planner();
  const auto ids = enqueue(3);
  Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  SettleChunk chunk;
  chunk.returned = {returned(ids[0], 1, 1h, R"({"code":"x"})"), returned(ids[1], 1, 0ms, R"({"code":"y"})"), returned(ids[2], 0)};
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  const auto fresh = enqueue(2);
  const auto flows = wait(store.backlog());
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(flows[0].requests, 2);
  EXPECT_EQ(flows[0].returned, 2);
  const auto next = plan(term, 3);
  EXPECT_EQ(sorted_members(next->id), (std::vector<RequestId>{ids[1], ids[2], fresh[0]}));
  EXPECT_EQ(wait(store.contents(next->id)).attempts, (std::unordered_map<RequestId, int>{{ids[1], 1}}));
  EXPECT_EQ(plan(term)->requests, 1);
  EXPECT_FALSE(plan(term)) << "the other one waits for its time";
  harness->pass(61min);
  EXPECT_EQ(wait(store.backlog()).at(0).returned, 1);
  EXPECT_THAT(sorted_members(plan(term)->id), ElementsAre(ids[0]));
}

TEST_P(Planning, ReturnedRequestsComeInTheOrderOfTheirTimes) {
  const Term term = planner();
  const auto ids = enqueue(3);
  Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(
      settle(term, shard, contents, {{}, {returned(ids[0], 1, 3min), returned(ids[1], 1, 1min), returned(ids[2], 1, 2min)}}));
  harness->pass(5min);
  EXPECT_THAT(sorted_members(plan(term, 1)->id), ElementsAre(ids[1]));
  EXPECT_THAT(sorted_members(plan(term, 1)->id), ElementsAre(ids[2]));
  EXPECT_THAT(sorted_members(plan(term, 1)->id), ElementsAre(ids[0]));
}

TEST_P(Planning, NumbersGoOnAboveThoseThatAProviderLists) {
  wait(store.skip_shards(ShardId{5000}));
  wait(store.skip_shards(ShardId{40}));
  const Term term = planner();
  enqueue(1);
  EXPECT_EQ(planned(term).id, ShardId{5001});
}

TEST_P(Planning, ReadsTheBodiesOfWhatIsUndecided) {
  const Term term = planner();
  std::vector<Prompt> prompts;
  for (int i = 0; i < 8; ++i) {
    Prompt prompt;
    prompt.job = i % 2 == 0 ? "even" : "odd";
    prompt.body = "{\"n\": " + std::to_string(i) + ", \"text\": \"\\u0000 \xC3\xA9\"}";
    prompts.push_back(prompt);
  }
  const auto ids = harness->enqueue(prompts);
  const Shard shard = planned(term);
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{failed(ids[2])}, {}}));
  std::vector<RequestId> read;
  wait(store.read_bodies(shard.id, contents, [&](RequestId id, std::string_view body) {
    const auto at = static_cast<std::size_t>(std::find(ids.begin(), ids.end(), id) - ids.begin());
    EXPECT_EQ(body, prompts.at(at).body);
    read.push_back(id);
    return true;
  }));
  EXPECT_THAT(read, SizeIs(7));
  EXPECT_EQ(std::count(read.begin(), read.end(), ids[2]), 0);
  const auto chunk = std::is_sorted_until(read.begin(), read.end());
  EXPECT_TRUE(std::is_sorted(chunk, read.end())) << "ascending within each of the two flows";
  int taken = 0;
  wait(store.read_bodies(shard.id, contents, [&](RequestId, std::string_view) { return ++taken < 3; }));
  EXPECT_EQ(taken, 3) << "the sink has had enough";
  EXPECT_THROW(wait(store.read_bodies(shard.id, contents,
                                      [](RequestId, std::string_view) -> bool { throw StoreError("the disk is full"); })),
               StoreError);
}

}  // namespace
}  // namespace batchd::conformance
