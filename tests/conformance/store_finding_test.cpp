// Shards that are made anew for batches whose own was lost, and for what a duplicate has answered.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Finding : public StoreConformance {
 protected:
  static FoundBatch found(const std::vector<RequestId>& ids, int attempt = 1) {
    FoundBatch f;
    f.provider = "prov";
    f.batch = BatchId{"batch-f"};
    f.shard = ShardId{900};
    f.attempt = 2;
    f.input_file = FileId{"file-f"};
    f.model = "dep";
    f.tokens = 77;
    for (const RequestId id : ids) f.lines.push_back({id, attempt});
    return f;
  }
  std::optional<BoundShard> bind(Term term, const FoundBatch& batch) { return wait(store.bind_found(term, batch)); }
};
CONFORMANCE_SUITE(Finding);

TEST_P(Finding, ALostShardIsMadeAnewFromWhatItsBatchHolds) {
  const Term term = planner();
  Prompt prompt;
  prompt.priority = 2;
  const auto ids = enqueue(6, prompt);
  wait(store.backlog());
  const auto bound = bind(term, found({ids[0], ids[1], ids[4], RequestId{999'999}}, 2));
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->id, ShardId{900});
  EXPECT_EQ(bound->requests, 3) << "one is not known here";
  const Shard shard = leased(term, ShardId{900}, ShardState::submitted);
  EXPECT_EQ(shard.attempt, 2);
  EXPECT_EQ(shard.batch, BatchId{"batch-f"});
  EXPECT_EQ(shard.batch_status, BatchStatus::unknown);
  EXPECT_EQ(shard.input_file, FileId{"file-f"});
  EXPECT_EQ(shard.deployment, "dep");
  EXPECT_EQ(shard.provider, "prov");
  EXPECT_EQ(shard.priority, 2);
  EXPECT_EQ(shard.requests, 3);
  EXPECT_EQ(shard.lane, (Lane{"m", "/v1/chat/completions"}));
  EXPECT_EQ(shard.tokens, 77);
  EXPECT_EQ(shard.reserved, 77);
  EXPECT_EQ(reserved(), 77);
  EXPECT_EQ(lines(), "2 created batch-f");
  EXPECT_THAT(wait(store.live_batches("prov")), SizeIs(1));
  const ShardContents contents = wait(store.contents(shard.id));
  EXPECT_THAT(undecided(contents), ElementsAre(ids[0], ids[1], ids[4]));
  EXPECT_EQ(contents.attempts.at(ids[0]), 1) << "its line is for the second attempt";
  EXPECT_EQ(wait(store.gauges()).in_flight, 3);
  EXPECT_EQ(plan(term)->requests, 3) << "the others are planned as ever";
}

TEST_P(Finding, TheSameAgainBindsNothingMore) {
  const Term term = planner();
  const auto ids = enqueue(3);
  wait(store.backlog());
  bind(term, found({ids[0]}));
  const Picture once = harness->picture();
  const auto again = bind(term, found(ids));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, ShardId{900}) << "as after a COMMIT whose answer was lost";
  EXPECT_EQ(again->requests, 1);
  EXPECT_TRUE(harness->picture() == once);
}

TEST_P(Finding, RoomIsTakenWhetherThereIsAnyOrNot) {
  const Term term = planner(10);
  const auto ids = enqueue(1);
  wait(store.backlog());
  bind(term, found(ids));
  EXPECT_EQ(reserved(), 77);
  const Shard shard = leased(term, ShardId{900}, ShardState::submitted);
  step(term, shard, Ended{batch("batch-f", BatchStatus::completed)});
  EXPECT_EQ(reserved(), 0);
}

TEST_P(Finding, WhatAnotherShardHoldsStaysThere) {
  const Term term = planner();
  auto ids = enqueue(4);
  const Shard shard = planned(term, 2);
  ids.push_back(enqueue(1, "late")[0]);
  wait(store.backlog());
  auto bound = bind(term, found(ids));
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->requests, 3);
  EXPECT_THAT(members(shard.id), SizeIs(2));
  EXPECT_THAT(wait(store.contents(ShardId{900})).members.chunks(), SizeIs(2)) << "of two flows";
  FoundBatch other = found(ids);
  other.batch = BatchId{"batch-g"};
  other.shard = ShardId{901};
  bound = bind(term, other);
  ASSERT_TRUE(bound);
  EXPECT_FALSE(bound->id) << "none of them waits";
  EXPECT_EQ(bound->requests, 0);
}

TEST_P(Finding, WhatCameBackUnansweredIsTakenFromADuplicate) {
  const Term term = planner();
  const Shard shard = finished(term, 3, BatchStatus::expired);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  SettleChunk chunk;
  chunk.settled = {answered(ids[0])};
  chunk.returned = {returned(ids[1], 1, 1min, R"({"code":"batch_expired"})"), returned(ids[2], 1, 1min)};
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  step(term, shard, Merged{});
  const std::string before = lines();

  FoundBatch harvest = found(ids, 1);
  harvest.shard.reset();
  harvest.model.clear();
  harvest.tokens = 0;
  const auto bound = bind(term, harvest);
  ASSERT_TRUE(bound && bound->id);
  EXPECT_NE(bound->id, shard.id);
  EXPECT_EQ(bound->requests, 2) << "the answered one stays answered, and nobody waits for the others' time";
  const ShardContents taken = wait(store.contents(*bound->id));
  EXPECT_THAT(undecided(taken), ElementsAre(ids[1], ids[2]));
  EXPECT_THAT(taken.attempts, IsEmpty()) << "the paid answers are those of the first attempt";
  EXPECT_EQ(lines(), before) << "it was never posted";
  EXPECT_EQ(row_of(*bound->id).deployment, "dep") << "by its model";
  EXPECT_THAT(wait(store.backlog()), IsEmpty());
}

TEST_P(Finding, ADeploymentThatNobodyKnowsIsNamedAllTheSame) {
  const Term term = planner();
  EXPECT_TRUE(wait(store.hold_role(term, "watch:elsewhere")));
  const auto ids = enqueue(1);
  wait(store.backlog());
  FoundBatch there = found(ids);
  there.provider = "elsewhere";
  there.model = "gone";
  ASSERT_TRUE(bind(term, there));
  const ShardRow row = row_of(ShardId{900});
  EXPECT_EQ(row.deployment, "gone");
  EXPECT_EQ(row.reserved, 0);
  EXPECT_EQ(row.tokens, 0);
  EXPECT_EQ(reserved(), 0);
}

TEST_P(Finding, OnlyTheWatcherBindsAndOnlyWithCountersRolledUp) {
  const Term term = planner();
  const auto ids = enqueue(1);
  EXPECT_FALSE(bind(term, found(ids))) << "the flow is not announced yet";
  wait(store.backlog());
  EXPECT_FALSE(bind(join(), found(ids)));
  FoundBatch elsewhere = found(ids);
  elsewhere.provider = "another";
  EXPECT_FALSE(bind(term, elsewhere));
  harness->move();
  EXPECT_FALSE(bind(term, found(ids)));
  harness->adopt();
  EXPECT_TRUE(bind(term, found(ids))) << "that is how lists come to be matched";
}

TEST_P(Finding, CancelledRequestsAreNotWanted) {
  const Term term = planner();
  const Shard shard = finished(term, 2);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(ids[0]), returned(ids[1])}}));
  bind(term, found(ids));
  EXPECT_TRUE(harness->cancel_request(ids[0]));
  wait(store.place_wishes(10));
  const auto wished = wait(store.wished_batches(10));
  ASSERT_THAT(wished, SizeIs(1));
  EXPECT_EQ(wished[0].batch.shard, ShardId{900});
  EXPECT_EQ(wished[0].wanted, 1);
}

}  // namespace
}  // namespace batchd::conformance
