// Who may work on a shard: leases, their order, and what is told with them.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Leases : public StoreConformance {
 protected:
  /// So many uploaded shards, owned by nobody and due.
  std::vector<ShardId> free_shards(Term term, int count) {
    std::vector<ShardId> ids;
    for (int i = 0; i < count; ++i) ids.push_back(free_shard(term));
    return ids;
  }
  ShardId free_shard(Term term, const Prompt& prompt = {}) {
    enqueue(1, prompt);
    const Shard shard = planned(term);
    EXPECT_EQ(save(term, shard, Uploaded{FileId{"f"}, 100, 10}, false), SaveResult::saved);
    return shard.id;
  }
  std::vector<ShardId> lease(Term term, int most = 10, const std::vector<ShardId>& busy = {}) {
    std::vector<ShardId> ids;
    for (const Shard& shard : wait(store.lease(term, ShardState::uploaded, most, busy))) ids.push_back(shard.id);
    return ids;
  }
};
CONFORMANCE_SUITE(Leases);

TEST_P(Leases, AShardHasOneHolder) {
  const Term a = planner();
  const Term b = join();
  const auto ids = free_shards(a, 3);
  EXPECT_THAT(lease(a, 2), ElementsAre(ids[0], ids[1]));
  const auto rest = wait(harness->store(1).lease(b, ShardState::uploaded, 10, {}));
  ASSERT_THAT(rest, SizeIs(1));
  EXPECT_EQ(rest[0].id, ids[2]);
  EXPECT_EQ(rest[0].input_file, FileId{"f"});
  EXPECT_EQ(rest[0].lease, b);
  EXPECT_FALSE(wait(store.lease_one(b, ids[0], ShardState::uploaded)));
  EXPECT_FALSE(wait(store.lease_one(a, ids[0], ShardState::planned))) << "not in that state";
  EXPECT_FALSE(wait(store.lease_one(a, ShardId{999}, ShardState::planned))) << "nobody knows that one";
}

TEST_P(Leases, AShardDroppedByAFailedStepIsFreeToItsOwnTerm) {
  const Term term = planner();
  const auto ids = free_shards(term, 2);
  EXPECT_THAT(lease(term), SizeIs(2));
  EXPECT_THAT(lease(term, 10, ids), IsEmpty());
  EXPECT_THAT(lease(term, 10, {ids[0]}), ElementsAre(ids[1]));
  EXPECT_TRUE(wait(store.lease_one(term, ids[0], ShardState::uploaded)));
}

TEST_P(Leases, TheBestComesFirst) {
  const Term term = planner();
  Prompt urgent;
  urgent.priority = 7;
  Prompt soon;
  soon.deadline_in = 60min;
  Prompt later;
  later.deadline_in = 120min;
  const ShardId plain = free_shard(term);
  const ShardId second = free_shard(term);
  const ShardId in_two = free_shard(term, later);
  const ShardId in_one = free_shard(term, soon);
  const ShardId first = free_shard(term, urgent);
  EXPECT_THAT(lease(term), ElementsAre(first, in_one, in_two, plain, second));
  EXPECT_THAT(lease(term, 2), ElementsAre(first, in_one));
  EXPECT_THAT(lease(term, 0), IsEmpty());
}

TEST_P(Leases, OnlyWhatIsDueUnlessItIsAskedForByName) {
  const Term term = planner();
  const auto ids = free_shards(term, 2);
  const Shard shard = leased(term, ids[0], ShardState::uploaded);
  EXPECT_EQ(save(term, shard, Delayed{1min, "{}"}, false), SaveResult::saved);
  EXPECT_THAT(lease(term), ElementsAre(ids[1]));
  harness->pass(50s);
  EXPECT_THAT(lease(term), ElementsAre(ids[1]));
  EXPECT_TRUE(wait(store.lease_one(term, ids[0], ShardState::uploaded))) << "a given shard, due or not";
  harness->pass(11s);
  EXPECT_THAT(lease(term), ElementsAre(ids[0], ids[1]));
}

TEST_P(Leases, TellHowLongAShardHasBeenInItsState) {
  const Term term = planner();
  Shard shard = uploaded(term);
  harness->pass(10min);
  shard = leased(term, shard.id, ShardState::uploaded);
  EXPECT_GE(shard.state_age, 10min);
  EXPECT_LT(shard.state_age, 11min);
  EXPECT_EQ(shard.intent_age, 0ms);
  shard = step(term, shard, Intended{});
  harness->pass(5min);
  shard = leased(term, shard.id, ShardState::uploaded);
  EXPECT_GE(shard.state_age, 15min) << "announced, and still uploaded";
  EXPECT_GE(shard.intent_age, 5min);
  EXPECT_LT(shard.intent_age, 6min);
  shard = step(term, shard, NotFoundInList{0ms});
  EXPECT_GE(leased(term, shard.id, ShardState::uploaded).intent_age, 5min) << "looked for, and announced as long ago";
}

TEST_P(Leases, ClosedShardsAreNobodys) {
  const Term term = planner();
  const Shard shard = finished(term, 1);
  close(term, shard);
  EXPECT_THAT(wait(store.lease(term, ShardState::closed, 10, {})), IsEmpty());
  EXPECT_FALSE(wait(store.lease_one(term, shard.id, ShardState::closed)));
}

// Shards that should not be submitted as they are --------------------------------------------------------------------

class Unwanted : public Leases {
 protected:
  bool unwanted(Term term, ShardId shard, ShardState state = ShardState::uploaded) { return leased(term, shard, state).unwanted; }
};
CONFORMANCE_SUITE(Unwanted);

TEST_P(Unwanted, BecauseARequestInItWasCancelled) {
  const Term term = planner();
  const ShardId shard = free_shard(term);
  const ShardId other = free_shard(term);
  EXPECT_FALSE(unwanted(term, shard));
  EXPECT_TRUE(harness->cancel_request(members(shard)[0]));
  EXPECT_TRUE(unwanted(term, shard)) << "though nobody has told it yet";
  wait(store.place_wishes(10));
  EXPECT_TRUE(unwanted(term, shard));
  EXPECT_FALSE(unwanted(term, other));
}

TEST_P(Unwanted, ByWhatIsAnnouncedNoMore) {
  const Term term = planner();
  const Shard shard = step(term, uploaded(term), Intended{});
  EXPECT_TRUE(harness->cancel_request(members(shard.id)[0]));
  EXPECT_FALSE(unwanted(term, shard.id)) << "its batch may exist";
}

TEST_P(Unwanted, BecauseItIsLargerThanItsDeploymentsQuotaIsNow) {
  const Term term = planner(1000);
  const Shard shard = uploaded(term, 1, 500);
  EXPECT_FALSE(unwanted(term, shard.id));
  wait(store.publish(term, {{"dep", "prov", "m", 400}}));
  EXPECT_TRUE(unwanted(term, shard.id));
  wait(store.publish(term, {{"dep", "prov", "m", 500}}));
  EXPECT_FALSE(unwanted(term, shard.id));
}

TEST_P(Unwanted, BecauseSomeButNotAllOfItsJobsArePaused) {
  const Term term = planner();
  enqueue(1, "a");
  enqueue(1, "b");
  const Shard shard = planned(term);
  harness->pause("job:a");
  EXPECT_TRUE(unwanted(term, shard.id, ShardState::planned));
  harness->pause("job:b");
  EXPECT_FALSE(unwanted(term, shard.id, ShardState::planned)) << "it can wait as a whole";
}

TEST_P(Unwanted, BecauseItsDeploymentIsPausedAndAnotherServesTheModel) {
  const Term term = planner();
  const ShardId shard = free_shard(term);
  harness->pause("deployment:dep");
  EXPECT_FALSE(unwanted(term, shard)) << "nobody else would take it";
  wait(store.publish(term, {{"dep", "prov", "m", 1000}, {"twin", "prov", "m", 1000}}));
  EXPECT_TRUE(unwanted(term, shard));
  harness->pause("deployment:twin");
  EXPECT_FALSE(unwanted(term, shard));
  EXPECT_TRUE(harness->resume("deployment:twin"));
  EXPECT_TRUE(unwanted(term, shard));
  harness->pause("all");
  EXPECT_FALSE(unwanted(term, shard));
}

// Files that should go at once ---------------------------------------------------------------------------------------

class FileCeiling : public Leases {};
CONFORMANCE_SUITE(FileCeiling);

TEST_P(FileCeiling, MakesDueWhatWaitsToBeDeletedThere) {
  const Term term = planner();
  Shard shard = finished(term, 1);
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(contents.members.at(0))}, {}}));
  shard = step(term, shard, Merged{});
  EXPECT_EQ(save(term, shard, Delayed{1h, ""}, false), SaveResult::saved);
  wait(store.file_ceiling_reached("another"));
  EXPECT_THAT(wait(store.lease(term, ShardState::merged, 5, {})), IsEmpty());
  wait(store.file_ceiling_reached("prov"));
  auto due = wait(store.lease(term, ShardState::merged, 5, {}));
  ASSERT_THAT(due, SizeIs(1));
  EXPECT_TRUE(due[0].hurried);
  harness->pass(9min);
  EXPECT_TRUE(leased(term, shard.id, ShardState::merged).hurried);
  harness->pass(2min);
  EXPECT_FALSE(leased(term, shard.id, ShardState::merged).hurried) << "that was a while ago";
}

TEST_P(FileCeiling, HurriesNothingElse) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  EXPECT_EQ(save(term, shard, Delayed{1h, ""}, false), SaveResult::saved);
  wait(store.file_ceiling_reached("prov"));
  EXPECT_THAT(lease(term), IsEmpty());
  EXPECT_FALSE(leased(term, shard.id, ShardState::uploaded).hurried);
}

}  // namespace
}  // namespace batchd::conformance
