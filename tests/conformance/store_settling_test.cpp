// Deciding members: once, resumable, under the lease.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Settling : public StoreConformance {};
CONFORMANCE_SUITE(Settling);

TEST_P(Settling, WritesTheAnswersBesideTheRequests) {
  const Term term = planner();
  const Shard shard = finished(term, 4);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  const std::string response = R"({"n": 9007199254740993, "z": "\u0000 )"
                               "\xE4\xBD\xA0\"}";
  Settlement bare;
  bare.request = ids[2];
  bare.outcome = Outcome::cancelled;
  bare.error = "{}";
  ASSERT_TRUE(settle(term, shard, contents, {{answered(ids[0], response), failed(ids[1]), bare}, {}}));
  ResultRow expected;
  expected.request = ids[0];
  expected.outcome = "succeeded";
  expected.status_code = 200;
  expected.response = response;
  expected.input_tokens = 3;
  expected.output_tokens = 4;
  expected.provider_request_id = "req-" + std::to_string(ids[0].value);
  expected.shard = shard.id;
  expected.attempt = 1;
  EXPECT_TRUE(result_of(ids[0]) == expected);
  expected = {};
  expected.request = ids[1];
  expected.outcome = "failed";
  expected.status_code = 400;
  expected.error = R"({"code":"bad","message":"no"})";
  expected.shard = shard.id;
  expected.attempt = 1;
  EXPECT_TRUE(result_of(ids[1]) == expected);
  expected.request = ids[2];
  expected.outcome = "cancelled";
  expected.status_code.reset();
  expected.error = "{}";
  EXPECT_TRUE(result_of(ids[2]) == expected);
  EXPECT_FALSE(result_of(ids[3]));
  EXPECT_EQ(state_of(ids[3]), "in_flight");
  EXPECT_EQ(wait(store.contents(shard.id)).decided.count(), 3U);
  const auto jobs = wait(store.jobs(1));
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_EQ(jobs[0].succeeded, 1);
  EXPECT_EQ(jobs[0].failed, 1);
  EXPECT_EQ(jobs[0].cancelled, 1);
  EXPECT_EQ(jobs[0].in_flight, 1);
  EXPECT_EQ(jobs[0].input_tokens, 3);
  EXPECT_EQ(jobs[0].output_tokens, 4);
}

TEST_P(Settling, TheSameChunkTwiceCountsOnce) {
  const Term term = planner();
  const Shard shard = finished(term, 3);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  const SettleChunk chunk{{answered(ids[0])}, {returned(ids[1])}};
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  const Picture once = harness->picture();
  EXPECT_TRUE(wait(store.settle(term, shard.id, contents, chunk))) << "as after a COMMIT whose answer was lost";
  EXPECT_TRUE(harness->picture() == once);
  EXPECT_TRUE(wait(store.settle(term, shard.id, contents, {}))) << "nothing is always decided";
}

TEST_P(Settling, AnotherReplicasViewIsRefused) {
  const Term zombie = planner();
  const Shard shard = finished(zombie, 3);
  ShardContents stale = wait(store.contents(shard.id));
  const auto ids = undecided(stale);
  const Term heir = join();
  bury(zombie);
  leased(heir, shard.id, ShardState::finished);
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(heir, shard, contents, {{answered(ids[0])}, {}}));
  EXPECT_FALSE(settle(zombie, shard, stale, {{answered(ids[1])}, {}})) << "its term is void";
  ShardContents older = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(heir, shard, contents, {{answered(ids[1])}, {}}));
  EXPECT_FALSE(settle(heir, shard, older, {{answered(ids[2])}, {}})) << "its bitmap is out of date";
  EXPECT_THAT(harness->picture().results, SizeIs(2));
}

TEST_P(Settling, AChunkMustNameMembersThatAreMarked) {
  const Term term = planner();
  const Shard shard = finished(term, 2);
  const ShardContents contents = wait(store.contents(shard.id));
  EXPECT_THROW(wait(store.settle(term, shard.id, contents, {{answered(RequestId{7777})}, {}})), std::logic_error);
  EXPECT_THROW(wait(store.settle(term, shard.id, contents, {{answered(contents.members.at(0))}, {}})), std::logic_error)
      << "its bit is not set";
  EXPECT_THAT(harness->picture().results, IsEmpty());
}

TEST_P(Settling, BadRowsAreSettledBeforeAnythingIsSent) {
  const Term term = planner();
  const auto ids = enqueue(3);
  const Shard shard = planned(term);
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{failed(ids[1])}, {}}));
  EXPECT_EQ(result_of(ids[1])->attempt, 0) << "no batch ran with it";
  EXPECT_THAT(members(shard.id), SizeIs(2));
}

TEST_P(Settling, WhetherAnAttemptWasMadeFollowsFromHowTheShardEnded) {
  const Term term = planner();
  const auto attempt_of = [&](const Shard& shard) {
    ShardContents contents = wait(store.contents(shard.id));
    const RequestId id = contents.members.at(0);
    EXPECT_TRUE(settle(term, shard, contents, {{failed(id)}, {}}));
    return result_of(id)->attempt;
  };
  EXPECT_EQ(attempt_of(finished(term, 1, BatchStatus::completed)), 1);
  EXPECT_EQ(attempt_of(finished(term, 1, BatchStatus::expired)), 1);
  EXPECT_EQ(attempt_of(finished(term, 1, BatchStatus::cancelled)), 1);
  const Shard refused = step(term, step(term, uploaded(term), Intended{}), Refused{{ErrorKind::permanent, 400, "", "no", {}}});
  EXPECT_EQ(attempt_of(refused), 0);
  EXPECT_EQ(attempt_of(step(term, uploaded(term), GivenUp{})), 0);
}

TEST_P(Settling, ResumesInTheMiddle) {
  const Term term = planner();
  const Shard shard = finished(term, 100);
  ShardContents contents = wait(store.contents(shard.id));
  SettleChunk chunk;
  for (std::size_t rank = 0; rank < 100; rank += 2) chunk.settled.push_back(answered(contents.members.at(rank)));
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  contents = wait(store.contents(shard.id));  // another life reads what is left
  EXPECT_THAT(undecided(contents), SizeIs(50));
  chunk = {};
  for (const RequestId id : undecided(contents)) chunk.returned.push_back(returned(id, 1, 0ms, R"({"code":"absent"})"));
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  step(term, shard, Merged{});
  const auto again = plan(term);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->requests, 50);
  EXPECT_THAT(wait(store.contents(again->id)).attempts, SizeIs(50));
}

TEST_P(Settling, AReturnedRequestKeepsItsAttemptsUntilItIsSettled) {
  const Term term = planner();
  const RequestId id = enqueue(1)[0];
  for (int attempt = 1; attempt <= 2; ++attempt) {
    const Shard shard = finish(term, planned(term));
    ShardContents contents = wait(store.contents(shard.id));
    EXPECT_EQ(contents.attempts.contains(id), attempt > 1);
    ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(id, attempt, 0ms, attempt == 1 ? R"({"code":"e1"})" : "")}}));
    const RequestRow row = request(id);
    EXPECT_EQ(row.state, "queued");
    EXPECT_EQ(row.attempts, attempt);
    EXPECT_EQ(row.last_error, R"({"code":"e1"})") << "the last one that was told";
    EXPECT_FALSE(row.shard);
    step(term, step(term, shard, Merged{}), Closed{});
  }
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  EXPECT_EQ(contents.attempts.at(id), 2);
  ASSERT_TRUE(settle(term, shard, contents, {{answered(id)}, {}}));
  const RequestRow row = request(id);
  EXPECT_EQ(row.state, "succeeded");
  EXPECT_EQ(row.attempts, 3);
  EXPECT_EQ(row.last_error, "");
  EXPECT_EQ(row.shard, shard.id);
  EXPECT_EQ(row.batch, shard.batch);
}

TEST_P(Settling, AReturnWithoutAttemptOrErrorLeavesNoTrace) {
  const Term term = planner();
  const Shard shard = step(term, uploaded(term), GivenUp{});
  ShardContents contents = wait(store.contents(shard.id));
  const RequestId id = contents.members.at(0);
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(id, 0)}}));
  EXPECT_EQ(request(id).attempts, 0);
  EXPECT_EQ(request(id).last_error, "");
  EXPECT_THAT(wait(store.contents(plan(term)->id)).attempts, IsEmpty());
}

TEST_P(Settling, AReturnedRequestMayBeElsewhereWhileItsShardIsStillMerged) {
  const Term term = planner();
  const Shard shard = finished(term, 3);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  ASSERT_TRUE(settle(term, shard, contents, {{answered(ids[0])}, {returned(ids[1])}}));
  EXPECT_EQ(state_of(ids[1]), "queued");
  const auto newer = plan(term);
  EXPECT_EQ(request(ids[1]).shard, newer->id);
  EXPECT_EQ(request(ids[2]).shard, shard.id);
  EXPECT_EQ(request(ids[2]).batch, shard.batch);
  EXPECT_EQ(row_of(shard.id).undecided, 1);
}

TEST_P(Settling, AShardThatIsMergedIsDecidedForGood) {
  const Term term = planner();
  Shard shard = finished(term, 1);
  ShardContents contents = wait(store.contents(shard.id));
  const SettleChunk chunk{{answered(contents.members.at(0))}, {}};
  ASSERT_TRUE(settle(term, shard, contents, chunk));
  shard = step(term, shard, Merged{});
  EXPECT_FALSE(wait(store.settle(term, shard.id, contents, chunk)));
}

// Retrying what was settled ------------------------------------------------------------------------------------------

class Retrying : public StoreConformance {};
CONFORMANCE_SUITE(Retrying);

TEST_P(Retrying, QueuesAgainWhatDidNotSucceedAndKeepsItsResult) {
  const Term term = planner();
  Shard shard = finished(term, 2);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  EXPECT_FALSE(harness->retry_request(ids[1])) << "it is not settled";
  ASSERT_TRUE(settle(term, shard, contents, {{answered(ids[0]), failed(ids[1])}, {}}));
  step(term, step(term, shard, Merged{}), Closed{});
  EXPECT_FALSE(harness->retry_request(ids[0])) << "it succeeded";
  EXPECT_FALSE(harness->retry_request(RequestId{7777}));
  const auto result = result_of(ids[1]);
  EXPECT_TRUE(harness->retry_request(ids[1]));
  EXPECT_FALSE(harness->retry_request(ids[1]));
  EXPECT_FALSE(result_of(ids[1]));
  const auto history = harness->picture().history;
  ASSERT_THAT(history, SizeIs(1));
  EXPECT_TRUE(history[0] == *result);
  EXPECT_EQ(state_of(ids[1]), "queued");
  EXPECT_EQ(request(ids[1]).attempts, 0) << "with all its attempts";
  EXPECT_EQ(wait(store.backlog()).at(0).returned, 1) << "at once";
  shard = finish(term, planned(term));
  contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(ids[1])}, {}}));
  EXPECT_EQ(result_of(ids[1])->attempt, 1);
}

TEST_P(Retrying, AWholeJob) {
  const Term term = planner();
  enqueue(2, "other");
  planned(term);
  const auto ids = enqueue(3, "j");
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(ids[0]), failed(ids[1])}, {}}));
  EXPECT_EQ(harness->retry_job("j"), 1);
  EXPECT_EQ(harness->retry_job("j"), 0);
  EXPECT_EQ(harness->retry_job("nobody's"), 0);
  EXPECT_EQ(state_of(ids[1]), "queued");
  EXPECT_EQ(state_of(ids[2]), "in_flight");
}

}  // namespace
}  // namespace batchd::conformance
