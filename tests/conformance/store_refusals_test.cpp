// Shards that a provider refused: parts that are cut off them, and what tells a culprit from a lane that does not work.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Refusals : public StoreConformance {
 protected:
  static constexpr const char* deployment = "dep";
  /// A shard whose batch the provider refused while it looked at it.
  Shard refused(Term term, int requests) {
    const Shard shard = submitted(term, requests, 100);
    return step(term, shard, Ended{batch_of(shard, BatchStatus::failed)});
  }
  /// Cuts off the members of these ranks.
  bool cut(Term term, const Shard& shard, std::size_t first, std::size_t last, bool trial) {
    ShardContents contents = wait(store.contents(shard.id));
    for (std::size_t rank = first; rank <= last; ++rank) contents.decided.set(rank);
    const std::vector<IdRange> part{{contents.members.at(first).value, contents.members.at(last).value}};
    return wait(store.split(term, shard.id, contents, part, trial));
  }
  /// What becomes of a planned shard whose submission is refused.
  Shard refused_at_once(Term term, const Shard& planned) {
    const Shard shard = step(term, step(term, planned, Uploaded{FileId{"f"}, 1000, 100}), Intended{});
    return step(term, shard, Refused{{ErrorKind::permanent, 400, "", "no", {}}});
  }
  Shard newest(Term term) { return leased(term, harness->picture().shards.back().id, ShardState::planned); }
  Suspicion suspicion(const Shard& shard) { return wait(store.suspicion(shard.id)); }
};
CONFORMANCE_SUITE(Refusals);

TEST_P(Refusals, APartIsAPlannedShardOfTheSameLane) {
  const Term term = planner();
  Prompt urgent;
  urgent.priority = 4;
  const auto ids = enqueue(10, urgent);
  const Shard shard = refused_at_once(term, planned(term));
  ASSERT_TRUE(cut(term, shard, 2, 5, false));
  const Shard part = newest(term);
  EXPECT_NE(part.id, shard.id);
  EXPECT_EQ(part.state, ShardState::planned);
  EXPECT_EQ(part.attempt, 1);
  EXPECT_EQ(part.lane, shard.lane);
  EXPECT_EQ(part.deployment, shard.deployment);
  EXPECT_EQ(part.provider, shard.provider);
  EXPECT_EQ(part.priority, 4);
  EXPECT_EQ(part.requests, 4);
  EXPECT_EQ(part.bytes, 400) << "its share";
  EXPECT_EQ(part.tokens, 40);
  EXPECT_EQ(part.reserved, 0);
  EXPECT_FALSE(part.input_file);
  EXPECT_EQ(members(part.id), (std::vector<RequestId>{ids[2], ids[3], ids[4], ids[5]}));
  EXPECT_EQ(members(shard.id), (std::vector<RequestId>{ids[0], ids[1], ids[6], ids[7], ids[8], ids[9]}));
  EXPECT_EQ(request(ids[3]).shard, part.id);
  EXPECT_EQ(wait(store.gauges()).in_flight, 10);
}

TEST_P(Refusals, PartsOfManyRangesAndFlowsKeepTheirOrder) {
  const Term term = planner();
  std::vector<Prompt> prompts(12);
  for (std::size_t i = 0; i < prompts.size(); ++i) prompts[i].job = i % 2 == 0 ? "a" : "b";
  harness->enqueue(prompts);
  const Shard shard = finish(term, planned(term), BatchStatus::failed);
  ShardContents contents = wait(store.contents(shard.id));
  std::vector<RequestId> cut_off;
  std::vector<IdRange> part;
  for (const std::size_t rank : {1U, 3U, 4U, 7U, 11U}) {
    contents.decided.set(rank);
    cut_off.push_back(contents.members.at(rank));
  }
  auto ascending = cut_off;
  std::sort(ascending.begin(), ascending.end());
  for (const RequestId id : ascending) part.push_back({id.value, id.value});
  ASSERT_TRUE(wait(store.split(term, shard.id, contents, part, false)));
  const ShardContents parts = wait(store.contents(newest(term).id));
  EXPECT_EQ(undecided(parts), cut_off);
  EXPECT_THAT(parts.members.chunks(), SizeIs(2));
}

TEST_P(Refusals, TheSamePartTwiceIsCutOnce) {
  const Term term = planner();
  const Shard shard = refused(term, 4);
  ShardContents contents = wait(store.contents(shard.id));
  contents.decided.set(0);
  const std::vector<IdRange> part{{contents.members.at(0).value, contents.members.at(0).value}};
  ASSERT_TRUE(wait(store.split(term, shard.id, contents, part, false)));
  EXPECT_TRUE(wait(store.split(term, shard.id, contents, part, false))) << "as after a COMMIT whose answer was lost";
  EXPECT_THAT(harness->picture().shards, SizeIs(2));
  EXPECT_THROW(wait(store.split(term, shard.id, contents, {{contents.members.at(1).value, contents.members.at(1).value}}, false)),
               std::logic_error)
      << "it is not marked";
}

TEST_P(Refusals, NobodyCutsWhatIsNotHisOrNotAsHeSeesIt) {
  const Term term = planner();
  const Shard shard = refused(term, 4);
  ShardContents stale = wait(store.contents(shard.id));
  EXPECT_FALSE(cut(join(), shard, 0, 0, false));
  ASSERT_TRUE(cut(term, shard, 0, 0, false));
  stale.decided.set(1);
  const std::vector<IdRange> part{{stale.members.at(1).value, stale.members.at(1).value}};
  EXPECT_FALSE(wait(store.split(term, shard.id, stale, part, false)));
  EXPECT_THAT(harness->picture().shards, SizeIs(2));
}

TEST_P(Refusals, AttemptsGoWithTheRequests) {
  const Term term = planner();
  Shard shard = finished(term, 2);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(ids[0], 3), returned(ids[1], 0)}}));
  shard = finish(term, planned(term), BatchStatus::failed);
  const std::size_t rank = wait(store.contents(shard.id)).members.rank(ids[0]).value();
  ASSERT_TRUE(cut(term, shard, rank, rank, false));
  EXPECT_EQ(wait(store.contents(newest(term).id)).attempts, (std::unordered_map<RequestId, int>{{ids[0], 3}}));
}

// What is known of a refused shard -----------------------------------------------------------------------------------

TEST_P(Refusals, WithoutATrialNothingIsKnown) {
  const Term term = planner();
  const Suspicion none = suspicion(refused(term, 2));
  EXPECT_EQ(none.trial, Trial::none);
  EXPECT_FALSE(none.halved);
  EXPECT_FALSE(none.lane_works);
  EXPECT_FALSE(none.other_suspect);
  EXPECT_EQ(wait(store.suspicion(ShardId{999})).trial, Trial::none);
}

TEST_P(Refusals, ATrialIsFollowedToItsVerdict) {
  const Term term = planner();
  const Shard shard = refused(term, 4);
  ASSERT_TRUE(cut(term, shard, 0, 1, true));
  EXPECT_EQ(row_of(shard.id).trial, harness->picture().shards.back().id);
  Shard trial = newest(term);
  EXPECT_EQ(suspicion(shard).trial, Trial::waiting);
  EXPECT_TRUE(suspicion(shard).halved);
  EXPECT_TRUE(suspicion(trial).halved) << "it is a part of it";
  trial = step(term, step(term, trial, Uploaded{FileId{"t"}, 10, 10}), Intended{});
  trial = step(term, trial, Created{batch_of(trial)});
  EXPECT_EQ(suspicion(shard).trial, Trial::waiting);
  EXPECT_FALSE(suspicion(shard).lane_works);
  wait(store.note_status(term, {{trial.id, *trial.batch, BatchStatus::in_progress}}));
  EXPECT_EQ(suspicion(shard).trial, Trial::accepted);
  EXPECT_TRUE(suspicion(shard).lane_works) << "it was of the same lane";
}

TEST_P(Refusals, ATrialThatCameToNothingIsGone) {
  const Term term = planner();
  const Shard shard = refused(term, 4);
  ASSERT_TRUE(cut(term, shard, 0, 1, true));
  step(term, newest(term), GivenUp{});
  EXPECT_EQ(suspicion(shard).trial, Trial::gone);
  EXPECT_FALSE(suspicion(shard).lane_works);
}

TEST_P(Refusals, ATrialThatIsHalvedItselfIsWaitedForUntilTheLastSuspect) {
  const Term term = planner();
  const Shard shard = refused(term, 4);
  ASSERT_TRUE(cut(term, shard, 0, 1, true));
  const Shard trial = refused_at_once(term, newest(term));
  EXPECT_EQ(suspicion(shard).trial, Trial::waiting) << "two are suspected yet";
  ASSERT_TRUE(cut(term, trial, 0, 0, true));
  const Shard last = newest(term);
  EXPECT_EQ(suspicion(trial).trial, Trial::waiting);
  EXPECT_EQ(suspicion(shard).trial, Trial::waiting);
  refused_at_once(term, last);
  EXPECT_EQ(suspicion(trial).trial, Trial::refused);
  EXPECT_EQ(suspicion(shard).trial, Trial::refused) << "all that waits for one culprit goes free at the same moment";
}

TEST_P(Refusals, WhatPassesInATrialOfATrialSaysNothingAboveIt) {
  const Term term = planner();
  const Shard shard = refused(term, 4);
  ASSERT_TRUE(cut(term, shard, 0, 1, true));
  const Shard trial = refused_at_once(term, newest(term));
  ASSERT_TRUE(cut(term, trial, 0, 0, true));
  Shard last = newest(term);
  last = step(term, step(term, last, Uploaded{FileId{"l"}, 10, 10}), Intended{});
  last = step(term, last, Created{batch_of(last)});
  step(term, last, Ended{batch_of(last, BatchStatus::completed)});
  EXPECT_EQ(suspicion(trial).trial, Trial::accepted);
  EXPECT_EQ(suspicion(shard).trial, Trial::waiting);
}

TEST_P(Refusals, ALaneWorksWhenAnotherFileOfItPassedSince) {
  const Term term = planner();
  const Shard before = submitted(term);
  wait(store.note_status(term, {{before.id, *before.batch, BatchStatus::in_progress}}));
  const Shard shard = refused(term, 1);
  EXPECT_FALSE(suspicion(shard).lane_works) << "that was before it was refused";
  Prompt embedding;
  embedding.endpoint = "/v1/embeddings";
  enqueue(1, embedding);
  const Shard after = submitted(term);
  EXPECT_FALSE(suspicion(shard).lane_works);
  wait(store.note_status(term, {{after.id, *after.batch, BatchStatus::finalizing}}));
  EXPECT_TRUE(suspicion(shard).lane_works);
}

TEST_P(Refusals, AnotherLastSuspectOfTheLaneIsNoticed) {
  const Term term = planner();
  const Shard a = refused(term, 2);
  const Shard b = refused(term, 2);
  ASSERT_TRUE(cut(term, a, 0, 0, true));
  EXPECT_TRUE(suspicion(b).other_suspect) << "one of two is left there";
  EXPECT_FALSE(suspicion(a).other_suspect) << "it is not its own other";
  ASSERT_TRUE(cut(term, b, 0, 0, true));
  EXPECT_TRUE(suspicion(a).other_suspect);
  ShardContents contents = wait(store.contents(b.id));
  ASSERT_TRUE(settle(term, b, contents, {{failed(contents.members.at(1))}, {}}));
  EXPECT_FALSE(suspicion(a).other_suspect) << "nothing is suspected there any more";
}

}  // namespace
}  // namespace batchd::conformance
