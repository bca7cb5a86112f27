// The books of every POST, what they say of the batches that a provider lists, and those that they do not explain.
#include "conformance/store_conformance.hpp"

#include "core/orphan.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Books : public StoreConformance {
 protected:
  static ShardEvent throttled() { return NotCreated{{ErrorKind::throttled, 429, "", "slow down", {}}, 0ms}; }
  BookEntry entry(const std::string& id, std::optional<ShardId> shard, int attempt, const std::string& file = "") {
    Claim claim;
    claim.batch = BatchId{id};
    claim.shard = shard;
    claim.attempt = attempt;
    if (!file.empty()) claim.input_file = FileId{file};
    return wait(store.look_up("prov", {claim})).at(0);
  }
  Recognition judged(const std::string& id, std::optional<ShardId> shard, int attempt) {
    Batch listed = batch(id, BatchStatus::in_progress);
    if (shard) listed.input_file_id = FileId{"file-" + std::to_string(shard->value)};
    return recognise(listed, entry(id, shard, attempt));
  }
  static std::string file_of(const Shard& shard) { return "file-" + std::to_string(shard.id.value); }
};
CONFORMANCE_SUITE(Books);

TEST_P(Books, FollowEveryPostToItsAnswer) {
  const Term term = planner();
  Shard shard = uploaded(term);
  EXPECT_EQ(lines(), "") << "nothing was announced";
  shard = step(term, shard, Intended{});
  EXPECT_EQ(lines(), "1 open");
  shard = step(term, shard, NotFoundInList{0ms});
  EXPECT_EQ(lines(), "1 open");
  shard = step(term, shard, throttled());
  EXPECT_EQ(lines(), "1 not_created");
  shard = step(term, step(term, shard, Intended{}), Fenced{});
  EXPECT_EQ(lines(), "1 not_created; 2 fenced");
  shard = step(term, shard, Uploaded{FileId{"second"}, 1000, 10});
  shard = step(term, shard, Intended{});
  shard = step(term, shard, Created{batch("batch-3")});
  EXPECT_EQ(lines(), "1 not_created; 2 fenced; 3 created batch-3");
  shard = step(term, shard, NotRun{0ms});
  shard = step(term, step(term, shard, Intended{}), Refused{{ErrorKind::permanent, 400, "", "no", {}}});
  EXPECT_EQ(lines(), "1 not_created; 2 fenced; 3 created batch-3; 4 not_created");
  const auto rows = harness->picture().submissions;
  EXPECT_EQ(rows[1].input_file, file_of(shard));
  EXPECT_EQ(rows[2].input_file, "second");
  EXPECT_EQ(rows[3].provider, "prov");
}

TEST_P(Books, NeverAnnounceAnAttemptTwiceWhateverAShardBelieves) {
  const Term term = planner();
  const Shard shard = step(term, uploaded(term), Intended{});
  Shard forgetful = shard;  // a bug in a stage: the same attempt again, as if nothing had been announced
  forgetful.intent = false;
  forgetful.reserved = 0;
  ASSERT_EQ(wait(store.save(term, shard, forgetful, true)), SaveResult::saved);
  EXPECT_ANY_THROW(save(term, forgetful, Intended{}));
  EXPECT_FALSE(row_of(shard.id).intent) << "all of that is undone";
  EXPECT_EQ(reserved(), 0);
}

TEST_P(Books, ABatchThatWasFoundTakesItsRoomEvenWhenThereIsNone) {
  const Term term = planner(5);
  Shard shard = uploaded(term);
  EXPECT_EQ(save(term, shard, Intended{}), SaveResult::no_room);
  join({"prov"});  // nor does it matter that the list is not matched: this is how it comes to be
  shard = step(term, shard, Found{batch("batch-1"), 1, FileId{"f"}});
  EXPECT_EQ(reserved(), 10);
  EXPECT_EQ(lines(), "1 created batch-1");
  EXPECT_THAT(wait(store.live_batches("prov")), SizeIs(1));
  step(term, shard, Ended{batch("batch-1", BatchStatus::completed)});
  EXPECT_EQ(reserved(), 0);
}

TEST_P(Books, ABatchOfAFencedAttemptIsEnteredWhereItBelongs) {
  const Term term = planner();
  const Shard fenced = step(term, step(term, uploaded(term), Intended{}), Fenced{});
  EXPECT_EQ(fenced.attempt, 2);
  step(term, fenced, Found{batch("batch-1"), 1, FileId{"f"}});
  EXPECT_EQ(lines(), "1 created batch-1");
  EXPECT_EQ(row_of(fenced.id).attempt, 2) << "the next POST is another attempt than any before";
}

TEST_P(Books, ABatchWhosePostWasForgottenIsEnteredAnew) {
  const Term term = planner();
  enqueue(1);
  const Shard shard = planned(term);
  step(term, shard, Found{batch("batch-4"), 4, FileId{"f"}});
  EXPECT_EQ(lines(), "4 created batch-4");
  EXPECT_EQ(row_of(shard.id).attempt, 4);
}

TEST_P(Books, TellWhatIsKnownOfAListedBatch) {
  const Term term = planner();
  const Shard fenced = step(term, step(term, uploaded(term, 2), Intended{}), Fenced{});
  BookEntry known = entry("batch-1", fenced.id, 1);
  ASSERT_TRUE(known.held);
  EXPECT_EQ(known.shard, fenced.id);
  EXPECT_EQ(known.attempt, 1);
  EXPECT_EQ(known.held->state, ShardState::planned);
  EXPECT_EQ(known.held->attempt, 2);
  EXPECT_EQ(known.held->requests, 2);
  EXPECT_FALSE(known.held->intent);
  EXPECT_FALSE(known.held->batch);
  EXPECT_TRUE(known.announced);
  EXPECT_FALSE(known.recorded);
  EXPECT_FALSE(known.retired);
  EXPECT_FALSE(known.batch);
  EXPECT_EQ(known.input_file, FileId{file_of(fenced)});
  EXPECT_EQ(judged("batch-1", fenced.id, 1), Recognition::take_over);
  EXPECT_FALSE(entry("batch-1", fenced.id, 2).announced) << "nobody has posted that one";

  const Shard taken = step(term, fenced, Found{batch("batch-1"), 1, FileId{"f"}});
  EXPECT_EQ(entry("batch-1", taken.id, 1).batch, BatchId{"batch-1"});
  EXPECT_TRUE(entry("batch-1", taken.id, 1).recorded) << "a shard tends it";
  EXPECT_EQ(judged("batch-1", taken.id, 1), Recognition::known);
  EXPECT_EQ(judged("batch-2", taken.id, 3), Recognition::wait);
  EXPECT_EQ(judged("batch-2", taken.id, 1), Recognition::duplicate);
  EXPECT_EQ(judged("batch-9", ShardId{900}, 1), Recognition::lost);
}

TEST_P(Books, AreAskedByFileWhereABatchHasNoMetadata) {
  const Term term = planner();
  const Shard fenced = step(term, step(term, uploaded(term), Intended{}), Fenced{});
  const BookEntry known = entry("batch-1", std::nullopt, 0, file_of(fenced));
  EXPECT_EQ(known.shard, fenced.id);
  EXPECT_EQ(known.attempt, 1);
  EXPECT_FALSE(entry("batch-x", std::nullopt, 0, "file-of-others").shard);
  EXPECT_FALSE(entry("batch-x", std::nullopt, 0).shard);
  // Of several POSTs with one file: the one that is known to have become this batch, then one that is open, then the latest.
  Shard shard = step(term, uploaded(term), Intended{});
  shard = step(term, step(term, shard, throttled()), Intended{});
  EXPECT_EQ(entry("b", std::nullopt, 0, file_of(shard)).attempt, 2) << "open";
  shard = step(term, shard, throttled());
  EXPECT_EQ(entry("b", std::nullopt, 0, file_of(shard)).attempt, 2) << "the latest";
  shard = step(term, step(term, shard, Intended{}), Created{batch("mine")});
  shard = step(term, step(term, shard, NotRun{0ms}), Intended{});
  EXPECT_EQ(entry("mine", std::nullopt, 0, file_of(shard)).attempt, 3);
  EXPECT_EQ(entry("other", std::nullopt, 0, file_of(shard)).attempt, 4);
}

TEST_P(Books, AnswerInTheOrderOfTheQuestionsAndForOneProviderOnly) {
  const Term term = planner();
  const Shard a = submitted(term);
  const Shard b = submitted(term);
  Claim first, second, third;
  first.batch = *b.batch;
  first.shard = b.id;
  first.attempt = 1;
  second.batch = BatchId{"x"};
  third.batch = *a.batch;
  third.shard = a.id;
  third.attempt = 1;
  auto entries = wait(store.look_up("prov", {first, second, third}));
  ASSERT_THAT(entries, SizeIs(3));
  EXPECT_EQ(entries[0].batch, b.batch);
  EXPECT_FALSE(entries[1].shard);
  EXPECT_EQ(entries[2].batch, a.batch);
  entries = wait(store.look_up("other", {first}));
  EXPECT_FALSE(entries[0].announced);
  EXPECT_FALSE(entries[0].held);
  EXPECT_THAT(wait(store.look_up("prov", {})), IsEmpty());
}

TEST_P(Books, AFenceWantsWalksForTwoDays) {
  const Term term = planner();
  step(term, step(term, uploaded(term), Intended{}), Fenced{});
  EXPECT_TRUE(wait(store.wants_walks("prov")));
  EXPECT_FALSE(wait(store.wants_walks("another")));
  harness->pass(47h);
  EXPECT_TRUE(wait(store.wants_walks("prov")));
  harness->pass(2h);
  EXPECT_FALSE(wait(store.wants_walks("prov")));
}

TEST_P(Books, AreForgottenWithTheirShard) {
  const Term term = planner();
  const Shard shard = finished(term, 1);
  wait(store.record_stray("prov", StrayKind::harmless, stray_of(batch("batch-2"), shard.id, 1)));
  wait(store.record_stray("prov", StrayKind::lost, stray_of(batch("batch-3"), shard.id, 1)));
  wait(store.record_stray("prov", StrayKind::duplicate, stray_of(batch("batch-4"), shard.id, 1)));
  close(term, shard);
  EXPECT_EQ(judged("batch-9", shard.id, 1), Recognition::duplicate);
  harness->pass(1h);
  wait(store.retire(term, 2h));
  EXPECT_NE(lines(), "") << "not yet";
  wait(store.retire(term, 30min));
  EXPECT_EQ(lines(), "");
  EXPECT_THAT(harness->picture().shards, IsEmpty());
  std::vector<std::string> kinds;
  for (const StrayRow& stray : harness->picture().strays) kinds.push_back(stray.kind);
  EXPECT_THAT(kinds, ElementsAre("lost", "duplicate")) << "people have not seen that one yet, and that one is not done";
  EXPECT_TRUE(entry("batch-9", shard.id, 1).retired);
  EXPECT_EQ(judged("batch-9", shard.id, 1), Recognition::known) << "forgotten, not lost";
}

// Strays -------------------------------------------------------------------------------------------------------------

class Strays : public Books {};
CONFORMANCE_SUITE(Strays);

TEST_P(Strays, AreEnteredOnceAndTendedUntilDone) {
  const Term term = planner();
  const Shard shard = submitted(term);
  Batch twin = batch("batch-2", BatchStatus::in_progress);
  twin.input_file_id = FileId{"file-1"};
  twin.counts = RequestCounts{2, 1, 0};
  twin.created_at = 1'700'000'000;
  const Stray stray = stray_of(twin, shard.id, 1);
  EXPECT_FALSE(wait(store.wants_walks("prov")));
  EXPECT_TRUE(wait(store.record_stray("prov", StrayKind::duplicate, stray)));
  EXPECT_FALSE(wait(store.record_stray("prov", StrayKind::duplicate, stray)));
  EXPECT_FALSE(wait(harness->store(1).record_stray("prov", StrayKind::harmless, stray)));
  EXPECT_TRUE(wait(store.wants_walks("prov")));
  EXPECT_TRUE(entry("batch-2", shard.id, 1).recorded) << "judged once";

  const StrayRow row = harness->picture().strays.at(0);
  EXPECT_THAT((std::vector{row.total, row.completed, row.failed, row.batch_created_at}), ElementsAre(2, 1, 0, 1'700'000'000));

  auto open = wait(store.open_strays("prov"));
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].batch, BatchId{"batch-2"});
  EXPECT_EQ(open[0].shard, shard.id);
  EXPECT_EQ(open[0].attempt, 1);
  EXPECT_EQ(open[0].status, BatchStatus::in_progress);
  EXPECT_EQ(open[0].input_file, FileId{"file-1"});
  EXPECT_EQ(open[0].holder, ShardState::submitted);
  EXPECT_FALSE(open[0].over);
  EXPECT_EQ(next_step(open[0]), StrayStep::stop);
  EXPECT_THAT(wait(store.open_strays("other")), IsEmpty());

  open[0].over = true;
  open[0].status = BatchStatus::cancelled;
  open[0].output_file = FileId{"out-2"};
  wait(store.update_stray("prov", open[0], false));
  const auto mine = wait(store.strays_of(shard.id));
  ASSERT_THAT(mine, SizeIs(1));
  EXPECT_TRUE(mine[0].over);
  EXPECT_EQ(mine[0].output_file, FileId{"out-2"});
  EXPECT_EQ(mine[0].input_file, FileId{"file-1"});
  EXPECT_EQ(mine[0].status, BatchStatus::cancelled);
  wait(store.update_stray("prov", mine[0], true));
  EXPECT_THAT(wait(store.open_strays("prov")), IsEmpty());
  EXPECT_THAT(wait(store.strays_of(shard.id)), IsEmpty());
  EXPECT_FALSE(wait(store.wants_walks("prov")));
}

TEST_P(Strays, WhatWasSeenOrDoneBeforeStaysSo) {
  const Term term = planner();
  const Shard shard = submitted(term);
  Stray stray = stray_of(batch("batch-2"), shard.id, 1);
  wait(store.record_stray("prov", StrayKind::duplicate, stray));
  stray.over = true;
  stray.used = true;
  stray.output_file = FileId{"out"};
  stray.error_file = FileId{"err"};
  wait(store.update_stray("prov", stray, false));
  harness->pass(1h);
  const Stray older = stray_of(batch("batch-2", BatchStatus::finalizing), shard.id, 1);
  wait(store.update_stray("prov", older, false));
  const auto open = wait(store.open_strays("prov"));
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_TRUE(open[0].over);
  EXPECT_TRUE(open[0].used);
  EXPECT_EQ(open[0].output_file, FileId{"out"});
  EXPECT_EQ(open[0].error_file, FileId{"err"});
  EXPECT_EQ(open[0].status, BatchStatus::finalizing);
  EXPECT_GE(open[0].age, 1h);
  EXPECT_GE(open[0].idle, 1h);
  EXPECT_LT(open[0].idle, 61min);
}

TEST_P(Strays, TellWhatHasBecomeOfTheirShard) {
  const Term term = planner();
  const Shard shard = finished(term, 1);
  wait(store.record_stray("prov", StrayKind::duplicate, stray_of(batch("batch-2"), shard.id, 1)));
  wait(store.record_stray("prov", StrayKind::duplicate, stray_of(batch("batch-3"), ShardId{900}, 1)));
  const auto holders = [&] {
    std::vector<std::optional<ShardState>> states;
    for (const Stray& stray : wait(store.open_strays("prov"))) states.push_back(stray.holder);
    return states;
  };
  EXPECT_THAT(holders(), ElementsAre(ShardState::finished, std::nullopt));
  close(term, shard);
  EXPECT_THAT(holders(), ElementsAre(ShardState::closed, std::nullopt));
}

TEST_P(Strays, ThatAreNoDuplicatesNeedNothing) {
  const Term term = planner();
  const Shard shard = submitted(term);
  EXPECT_TRUE(wait(store.record_stray("prov", StrayKind::harmless, stray_of(batch("batch-2"), shard.id, 1))));
  EXPECT_THAT(wait(store.open_strays("prov")), IsEmpty());
  EXPECT_THAT(wait(store.strays_of(shard.id)), IsEmpty());
  EXPECT_FALSE(wait(store.wants_walks("prov")));
  EXPECT_TRUE(harness->picture().strays.at(0).done);
}

TEST_P(Strays, ThatAreLostStopWhatIsNewThereUntilAPersonAcceptsIt) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  enqueue(1);
  wait(store.record_stray("elsewhere", StrayKind::lost, stray_of(batch("batch-x"), ShardId{800}, 1)));
  EXPECT_TRUE(wait(store.orphans_due("prov")) == std::nullopt);
  wait(store.record_stray("prov", StrayKind::lost, stray_of(batch("batch-9"), ShardId{900}, 1)));
  EXPECT_EQ(save(term, shard, Intended{}), SaveResult::no_room);
  EXPECT_FALSE(plan(term));
  EXPECT_EQ(wait(store.deployments()).at(0).pause_reason, "unmatched");
  EXPECT_FALSE(wait(store.file_books("prov", {shard.id})).trusted);
  EXPECT_EQ(harness->accept_loss().batches, 2);
  EXPECT_EQ(harness->accept_loss().batches, 0);
  EXPECT_EQ(save(term, shard, Intended{}), SaveResult::saved);
  EXPECT_TRUE(plan(term));
}

}  // namespace
}  // namespace batchd::conformance
