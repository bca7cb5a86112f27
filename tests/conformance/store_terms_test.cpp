// What a term that is void may still change: nothing, be somebody in its place or not.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class VoidTerms : public StoreConformance {
 protected:
  /// Everything as it is once nobody is left who may change it.
  void void_all(Term term) {
    bury(term);
    before_ = harness->picture();
  }
  void expect_nothing_changed() { EXPECT_TRUE(harness->picture() == before_); }

 private:
  Picture before_;
};
CONFORMANCE_SUITE(VoidTerms);

TEST_P(VoidTerms, SaveNothing) {
  const Term term = planner();
  enqueue(4);
  const Shard planned_one = planned(term, 1);
  EXPECT_EQ(planned_one.lease, term);
  const Shard waiting = uploaded(term);
  const Shard announced = step(term, uploaded(term), Intended{});
  const Shard running = submitted(term);
  void_all(term);
  EXPECT_EQ(save(term, planned_one, Uploaded{FileId{"f"}, 100, 10}), SaveResult::lost);
  EXPECT_EQ(save(term, planned_one, GivenUp{}), SaveResult::lost);
  EXPECT_EQ(save(term, waiting, Intended{}), SaveResult::lost);
  EXPECT_EQ(save(term, announced, Created{batch("b")}), SaveResult::lost);
  EXPECT_EQ(save(term, announced, Fenced{}), SaveResult::lost);
  EXPECT_EQ(save(term, running, Ended{batch_of(running, BatchStatus::completed)}), SaveResult::lost);
  expect_nothing_changed();
}

TEST_P(VoidTerms, SettleAndSplitNothing) {
  const Term term = planner();
  const Shard shard = finished(term, 4);
  ShardContents contents = wait(store.contents(shard.id));
  void_all(term);
  EXPECT_FALSE(settle(term, shard, contents, {{answered(contents.members.at(0))}, {}}));
  EXPECT_FALSE(settle(term, shard, contents, {{}, {returned(contents.members.at(1))}}));
  const std::int64_t third = contents.members.at(2).value;
  contents.decided.set(2);
  EXPECT_FALSE(wait(store.split(term, shard.id, contents, {{third, third}}, false)));
  expect_nothing_changed();
}

TEST_P(VoidTerms, LeasePlanExpireAndFailNothing) {
  const Term term = planner();
  enqueue(2);
  const Shard shard = planned(term);
  save(term, shard, Delayed{0ms, ""}, false);
  Prompt late;
  late.job = "late";
  late.deadline_in = -3min;
  Prompt unserved;
  unserved.model = "nobody's";
  harness->enqueue({late, unserved, {}});
  const PlanOrder order = order_for_all();
  wait(store.leave(term));
  const Picture before = harness->picture();
  EXPECT_THAT(wait(store.lease(term, ShardState::planned, 5, {})), IsEmpty());
  EXPECT_FALSE(wait(store.lease_one(term, shard.id, ShardState::planned)));
  EXPECT_FALSE(wait(store.plan(term, order)));
  EXPECT_EQ(wait(store.expire_overdue(term)), 0);
  EXPECT_EQ(wait(store.fail_unroutable(term, {}, 0ms)), 0);
  EXPECT_TRUE(harness->picture() == before);
}

TEST_P(VoidTerms, PauseNoteAndBindNothing) {
  const Term term = planner();
  const Shard shard = submitted(term);
  const auto waiting = enqueue(1);
  wait(store.backlog());
  auto live = wait(store.live_batches("prov"));
  live.at(0).status = BatchStatus::in_progress;
  FoundBatch found;
  found.provider = "prov";
  found.batch = BatchId{"batch-f"};
  found.input_file = FileId{"file-f"};
  found.lines = {{waiting[0], 1}};
  void_all(term);
  wait(store.pause_deployment(term, "dep", "account", 1min, 0ms));
  wait(store.pause_deployment(term, "dep", "account", 0ms, 0ms));
  wait(store.note_status(term, live));
  wait(store.bind_found(term, found));
  expect_nothing_changed();
}

TEST_P(VoidTerms, RetireNothing) {
  const Term term = planner();
  close(term, finished(term, 1));
  void_all(term);
  EXPECT_FALSE(wait(store.retire(term, 0ms)));
  expect_nothing_changed();
  EXPECT_FALSE(wait(store.retire(join(), 0ms)));
  EXPECT_THAT(harness->picture().shards, IsEmpty());
}

TEST_P(VoidTerms, AShardInHandsIsNotLeasedAgainUnderALaterTermOfTheSameProcess) {
  const Term before = planner();
  enqueue(1);
  const Shard shard = planned(before);
  bury(before);
  const Term later = join();
  EXPECT_THAT(wait(store.lease(later, ShardState::planned, 5, {shard.id})), IsEmpty());
  const auto leased = wait(store.lease(later, ShardState::planned, 5, {}));
  ASSERT_THAT(leased, SizeIs(1));
  EXPECT_EQ(leased[0].lease, later);
}

}  // namespace
}  // namespace batchd::conformance
