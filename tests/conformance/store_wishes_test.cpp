// Requests that are cancelled: at once while they wait, and as soon as may be while they are in flight.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Wishes : public StoreConformance {};
CONFORMANCE_SUITE(Wishes);

TEST_P(Wishes, WhatWaitsIsCancelledAtOnce) {
  const Term term = planner();
  const auto ids = enqueue(2);
  EXPECT_TRUE(harness->cancel_request(ids[0]));
  EXPECT_FALSE(harness->cancel_request(ids[0])) << "it is settled";
  EXPECT_FALSE(harness->cancel_request(RequestId{7777}));
  EXPECT_EQ(state_of(ids[0]), "cancelled");
  EXPECT_THAT(result_of(ids[0])->error, HasSubstr(R"("cancelled")"));
  EXPECT_EQ(plan(term)->requests, 1);
  EXPECT_THAT(harness->picture().wishes, IsEmpty());
}

TEST_P(Wishes, WhatCameBackIsCancelledAtOnceWithItsAttempts) {
  const Term term = planner();
  const Shard shard = finished(term, 1);
  ShardContents contents = wait(store.contents(shard.id));
  const RequestId id = contents.members.at(0);
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(id, 2, 1h, R"({"code":"x"})")}}));
  EXPECT_TRUE(harness->cancel_request(id));
  EXPECT_EQ(result_of(id)->attempt, 2);
  EXPECT_THAT(wait(store.backlog()), IsEmpty());
}

TEST_P(Wishes, InFlightItIsAWishThatAPaidAnswerBeats) {
  const Term term = planner();
  const Shard shard = finished(term, 1);
  ShardContents contents = wait(store.contents(shard.id));
  const RequestId id = contents.members.at(0);
  EXPECT_TRUE(harness->cancel_request(id));
  EXPECT_TRUE(harness->cancel_request(id)) << "it is not settled yet";
  EXPECT_EQ(state_of(id), "in_flight");
  ASSERT_TRUE(settle(term, shard, contents, {{answered(id)}, {}}));
  EXPECT_EQ(state_of(id), "succeeded");
  EXPECT_THAT(harness->picture().wishes, IsEmpty());
}

TEST_P(Wishes, InFlightItIsNotSentAgain) {
  const Term term = planner();
  const Shard shard = finished(term, 2);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  EXPECT_TRUE(harness->cancel_request(ids[0]));
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(ids[0], 1), returned(ids[1], 1)}}));
  EXPECT_EQ(state_of(ids[0]), "cancelled");
  EXPECT_EQ(result_of(ids[0])->attempt, 1);
  EXPECT_EQ(state_of(ids[1]), "queued");
  EXPECT_THAT(harness->picture().wishes, IsEmpty());
}

TEST_P(Wishes, AWholeJobIsCancelledWhereverItIs) {
  const Term term = planner();
  const auto flying = enqueue(2, "j");
  const auto others = enqueue(1, "other");
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(flying[0])}, {}}));
  const auto waiting = enqueue(2, "j");
  EXPECT_EQ(harness->cancel_job("j"), 3) << "what is settled is not concerned";
  EXPECT_EQ(harness->cancel_job("j"), 0);
  EXPECT_EQ(harness->cancel_job("nobody's"), 0);
  EXPECT_EQ(state_of(waiting[0]), "cancelled");
  EXPECT_EQ(state_of(flying[1]), "in_flight");
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(flying[1]), returned(others[0])}}));
  EXPECT_EQ(state_of(flying[1]), "cancelled");
  EXPECT_EQ(state_of(others[0]), "queued");
}

TEST_P(Wishes, AreToldToTheShardsOfTheirRequests) {
  const Term term = planner();
  Shard shard = submitted(term, 3);
  const Shard other = submitted(term, 1);
  const auto ids = members(shard.id);
  EXPECT_EQ(wait(store.place_wishes(10)), 0);
  EXPECT_TRUE(harness->cancel_request(ids[0]));
  EXPECT_THAT(wait(store.wished_batches(10)), IsEmpty()) << "nobody has passed it on";
  EXPECT_EQ(wait(store.place_wishes(10)), 1);
  EXPECT_EQ(wait(store.place_wishes(10)), 0);
  const auto wished = wait(store.wished_batches(10));
  ASSERT_THAT(wished, SizeIs(1));
  EXPECT_EQ(wished[0].batch.shard, shard.id);
  EXPECT_EQ(wished[0].batch.batch, *shard.batch);
  EXPECT_EQ(wished[0].batch.status, BatchStatus::validating);
  EXPECT_EQ(wished[0].provider, "prov");
  EXPECT_EQ(wished[0].wanted, 2) << "undecided, and nobody has cancelled them";
  EXPECT_TRUE(harness->cancel_request(members(other.id)[0]));
  wait(store.place_wishes(10));
  EXPECT_THAT(wait(store.wished_batches(10)), SizeIs(2));
  EXPECT_THAT(wait(store.wished_batches(1)), SizeIs(1));
  EXPECT_EQ(wait(store.wished_batches(10)).at(1).wanted, 0);
  step(term, shard, Ended{batch_of(shard, BatchStatus::completed)});
  EXPECT_THAT(wait(store.wished_batches(10)), SizeIs(1)) << "a batch that is over needs no stopping";
}

TEST_P(Wishes, ArePassedOnAFewAtATime) {
  const Term term = planner();
  const Shard shard = submitted(term, 5);
  for (const RequestId id : members(shard.id)) harness->cancel_request(id);
  EXPECT_EQ(wait(store.place_wishes(2)), 2);
  EXPECT_EQ(wait(store.place_wishes(2)), 2);
  EXPECT_EQ(wait(store.place_wishes(2)), 1);
  EXPECT_EQ(wait(store.place_wishes(2)), 0);
  EXPECT_EQ(wait(store.wished_batches(10)).at(0).wanted, 0);
}

TEST_P(Wishes, OnceActedUponAreForgottenUnlessOneCameLater) {
  const Term term = planner();
  const Shard shard = submitted(term, 3);
  const auto ids = members(shard.id);
  harness->cancel_request(ids[0]);
  wait(store.place_wishes(10));
  const WishedBatch read = wait(store.wished_batches(10)).at(0);
  harness->cancel_request(ids[1]);
  wait(store.place_wishes(10));
  wait(store.forget_wished(read));
  const auto later = wait(store.wished_batches(10));
  ASSERT_THAT(later, SizeIs(1)) << "a later one stays";
  EXPECT_EQ(later[0].wanted, 1);
  wait(store.forget_wished(later[0]));
  EXPECT_THAT(wait(store.wished_batches(10)), IsEmpty());
  EXPECT_FALSE(row_of(shard.id).wished);
}

TEST_P(Wishes, OfWhatIsSettledMeanwhileAreDropped) {
  const Term term = planner();
  const Shard shard = finished(term, 2);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  harness->cancel_request(ids[0]);
  ASSERT_TRUE(settle(term, shard, contents, {{answered(ids[0])}, {}}));
  EXPECT_EQ(wait(store.place_wishes(10)), 0);
  EXPECT_FALSE(row_of(shard.id).wished);
}

TEST_P(Wishes, OfARequestThatIsCutOffGoWithIt) {
  const Term term = planner();
  Shard shard = submitted(term, 2);
  shard = step(term, shard, Ended{batch_of(shard, BatchStatus::failed)});
  ShardContents contents = wait(store.contents(shard.id));
  const RequestId id = contents.members.at(0);
  contents.decided.set(0);
  ASSERT_TRUE(wait(store.split(term, shard.id, contents, {{id.value, id.value}}, false)));
  const ShardId part = harness->picture().shards.back().id;
  harness->cancel_request(id);
  wait(store.place_wishes(10));
  EXPECT_TRUE(leased(term, part, ShardState::planned).unwanted);
}

TEST_P(Wishes, WhoseRequestIsRetriedIsForgotten) {
  const Term term = planner();
  const Shard shard = finished(term, 1);
  ShardContents contents = wait(store.contents(shard.id));
  const RequestId id = contents.members.at(0);
  harness->cancel_request(id);
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(id)}}));
  EXPECT_EQ(state_of(id), "cancelled");
  EXPECT_TRUE(harness->retry_request(id));
  EXPECT_EQ(state_of(id), "queued");
  const Shard again = planned(term);
  EXPECT_FALSE(again.unwanted);
}

}  // namespace
}  // namespace batchd::conformance
