// What becomes of a shard: saved whole or not at all, by who holds it and sees it as it is; and the ledger that moves with it.
#include "conformance/store_conformance.hpp"

#include <functional>

namespace batchd::conformance {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Saving : public StoreConformance {};
CONFORMANCE_SUITE(Saving);

TEST_P(Saving, WhoLostItsTermWritesNothing) {
  const Term zombie = planner();
  const Shard shard = uploaded(zombie);
  const Term heir = join();
  bury(zombie);
  const Shard adopted = leased(heir, shard.id, ShardState::uploaded);
  EXPECT_EQ(save(zombie, shard, Intended{}), SaveResult::lost);
  EXPECT_EQ(reserved(), 0) << "the room of a lost save is given back";
  EXPECT_EQ(save(heir, adopted, Intended{}), SaveResult::saved);
  EXPECT_EQ(lines(), "1 open");
}

TEST_P(Saving, WhoDoesNotHoldAShardWritesNothing) {
  const Term holder = planner();
  const Term other = join();
  const Shard shard = uploaded(holder);
  EXPECT_EQ(save(other, shard, Intended{}), SaveResult::lost);
  EXPECT_EQ(save(holder, shard, Delayed{0ms, ""}, false), SaveResult::saved);
  EXPECT_EQ(save(holder, shard, Intended{}), SaveResult::lost) << "it was given back";
  EXPECT_EQ(save(other, leased(other, shard.id, ShardState::uploaded), Intended{}), SaveResult::saved);
}

TEST_P(Saving, AStaleViewWritesNothing) {
  const Term term = planner();
  enqueue(1);
  const Shard before = planned(term);
  const Shard shard = step(term, before, Uploaded{FileId{"f"}, 100, 10});
  EXPECT_EQ(save(term, before, GivenUp{}), SaveResult::lost) << "it is in another state";
  const Shard intended = step(term, shard, Intended{});
  EXPECT_EQ(save(term, shard, Intended{}), SaveResult::lost) << "the intent is there already";
  EXPECT_EQ(reserved(), 10) << "once";
  const Shard again = step(term, intended, NotCreated{{ErrorKind::throttled, 429, "", "slow down", {}}, 0ms});
  EXPECT_EQ(again.attempt, 2);
  EXPECT_EQ(save(term, intended, Created{}), SaveResult::lost) << "that was another attempt";
  EXPECT_EQ(lines(), "1 not_created");
}

TEST_P(Saving, TheLeaseIsGivenBackUnlessItIsKept) {
  const Term term = planner();
  enqueue(1);
  Shard shard = planned(term);
  EXPECT_EQ(save(term, shard, Delayed{0ms, ""}, true), SaveResult::saved);
  EXPECT_EQ(row_of(shard.id).owner, term);
  EXPECT_EQ(save(term, shard, Delayed{0ms, ""}, false), SaveResult::saved);
  EXPECT_FALSE(row_of(shard.id).owner);
  shard = finish(term, leased(term, shard.id, ShardState::planned));
  close(term, shard);
  EXPECT_FALSE(row_of(shard.id).owner) << "a closed one is nobody's, kept or not";
}

TEST_P(Saving, EveryFieldSurvivesTheTrip) {
  const Term term = planner();
  enqueue(2);
  const Shard before = finish(term, planned(term), BatchStatus::expired);
  Shard shard = before;
  shard.error = R"({"code":"batch_expired","message":"it's \"too late\""})";
  shard.error_file = FileId{"err-1"};
  shard.failures = 3;
  shard.denials = 2;
  shard.short_reads = 4;
  ASSERT_EQ(wait(store.save(term, before, shard, false)), SaveResult::saved);
  const Shard read = leased(term, shard.id, ShardState::finished);
  EXPECT_EQ(read.error, shard.error);
  EXPECT_EQ(read.error_file, shard.error_file);
  EXPECT_EQ(read.output_file, shard.output_file);
  EXPECT_EQ(read.input_file, shard.input_file);
  EXPECT_EQ(read.batch, shard.batch);
  EXPECT_EQ(read.batch_status, BatchStatus::expired);
  EXPECT_EQ(read.finish_reason, FinishReason::expired);
  EXPECT_EQ(read.failures, 3);
  EXPECT_EQ(read.denials, 2);
  EXPECT_EQ(read.short_reads, 4);
  EXPECT_EQ(read.requests, 2);
  EXPECT_EQ(read.bytes, 1000);
  EXPECT_EQ(read.tokens, 10);
  EXPECT_EQ(read.reserved, 0);
  EXPECT_EQ(read.looks, 0);
  EXPECT_EQ(read.lane, (Lane{"m", "/v1/chat/completions"}));
  EXPECT_EQ(read.deployment, "dep");
  EXPECT_EQ(read.provider, "prov");
}

TEST_P(Saving, AShardCannotBeMergedBeforeEveryMemberIsDecided) {
  const Term term = planner();
  const Shard shard = finished(term, 2);
  EXPECT_THROW(save(term, shard, Merged{}), StoreError) << "none is";
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(contents.members.at(0))}, {}}));
  EXPECT_THROW(save(term, shard, Merged{}), StoreError) << "one is not";
  EXPECT_EQ(row_of(shard.id).state, "finished") << "all of that is undone";
  const RequestId second = contents.members.at(1);
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(second)}}));
  EXPECT_EQ(save(term, shard, Merged{}), SaveResult::saved);
  EXPECT_THAT(members(shard.id), IsEmpty()) << "released";
  EXPECT_EQ(state_of(second), "queued");
}

// The ledger ---------------------------------------------------------------------------------------------------------

class Ledger : public StoreConformance {
 protected:
  using Step = std::function<ShardEvent(const Shard&)>;
};
CONFORMANCE_SUITE(Ledger);

TEST_P(Ledger, HasRoomOrRefuses) {
  const Term term = planner(25);
  const Shard a = uploaded(term);
  const Shard b = uploaded(term);
  const Shard c = uploaded(term);
  EXPECT_EQ(save(term, a, Intended{}), SaveResult::saved);
  EXPECT_EQ(save(term, b, Intended{}), SaveResult::saved);
  EXPECT_EQ(save(term, c, Intended{}), SaveResult::no_room);
  EXPECT_EQ(reserved(), 20);
  EXPECT_FALSE(row_of(c.id).intent);
  EXPECT_EQ(lines(), "1 open; 1 open") << "nothing of it is kept";
  step(term, batchd::apply(a, Intended{}), Fenced{});
  EXPECT_EQ(save(term, c, Intended{}), SaveResult::saved);
}

TEST_P(Ledger, IsFullToTheLastToken) {
  const Term term = planner(20);
  const Shard a = uploaded(term, 1, 13);
  const Shard b = uploaded(term, 1, 8);
  const Shard c = uploaded(term, 1, 7);
  EXPECT_EQ(save(term, a, Intended{}), SaveResult::saved);
  EXPECT_EQ(save(term, b, Intended{}), SaveResult::no_room);
  EXPECT_EQ(save(term, c, Intended{}), SaveResult::saved);
  EXPECT_EQ(wait(store.deployments()).at(0).reserved, 20);
}

TEST_P(Ledger, MovesWithEveryEvent) {
  const Term term = planner();
  const auto expect = [&](const char* after, const Shard& shard, const ShardEvent& event, Tokens held) {
    const Shard next = step(term, shard, event);
    EXPECT_EQ(reserved(), held) << after;
    EXPECT_EQ(row_of(shard.id).reserved, held) << after;
    return next;
  };
  Shard s = uploaded(term);
  s = expect("the announcement takes room", s, Intended{}, 10);
  s = expect("not found once, it may exist all the same", s, NotFoundInList{0ms}, 10);
  s = expect("nor does a failure change that", s, Delayed{0ms, "{}"}, 10);
  s = expect("certainly not created", s, NotCreated{{ErrorKind::throttled, 429, "", "", {}}, 0ms}, 0);
  s = expect("announced again", s, Intended{}, 10);
  s = expect("fenced", s, Fenced{}, 0);
  s = expect("a new file", s, Uploaded{FileId{"f2"}, 10, 12}, 0);
  s = expect("of another size", s, Intended{}, 12);
  s = expect("created", s, Created{batch("b1")}, 12);
  s = expect("nothing ran", s, NotRun{0ms}, 0);
  s = expect("announced for the fourth time", s, Intended{}, 12);
  s = expect("refused", s, Refused{{ErrorKind::permanent, 400, "", "no", {}}}, 0);

  s = submitted(term, 1, 30);
  s = expect("ended", s, Ended{batch_of(s, BatchStatus::completed)}, 0);
  s = expect("vanished", submitted(term, 1, 30), Vanished{}, 0);
  s = expect("given up before anything was announced", uploaded(term), GivenUp{}, 0);
  s = expect("the file was lost before that", uploaded(term), FileLost{0ms, ""}, 0);
}

TEST_P(Ledger, WhatWasRefusedForWantOfRoomIsDueWhenABatchOfItsDeploymentEnds) {
  const Term term = planner();
  const Shard running = submitted(term);
  const auto refused = [&](ErrorKind kind) {
    const Shard shard = step(term, uploaded(term), Intended{});
    const ShardEvent event = NotCreated{{kind, 429, "in any words", "no", {}}, 1h};
    EXPECT_EQ(save(term, shard, event, false), SaveResult::saved);
    return shard.id;
  };
  const ShardId full = refused(ErrorKind::quota);
  refused(ErrorKind::throttled);
  const auto due = [&] { return wait(store.lease(term, ShardState::uploaded, 5, {})); };
  EXPECT_THAT(due(), IsEmpty());
  EXPECT_EQ(save(term, running, Ended{batch_of(running, BatchStatus::completed)}), SaveResult::saved);
  const std::vector<Shard> shards = due();
  ASSERT_THAT(shards, SizeIs(1)) << "who was asked to slow down waits on";
  EXPECT_EQ(shards.front().id, full);
}

TEST_P(Ledger, GivesRoomBackWhateverIsPaused) {
  const Term term = planner();
  const Shard shard = submitted(term);
  harness->pause("all");
  EXPECT_EQ(save(term, shard, Ended{batch_of(shard, BatchStatus::completed)}), SaveResult::saved);
  EXPECT_EQ(reserved(), 0);
}

TEST_P(Ledger, TakesNothingMoreWhenTheLimitHasShrunk) {
  const Term term = planner(100);
  step(term, uploaded(term, 1, 60), Intended{});
  const Shard shard = uploaded(term, 1, 10);
  wait(store.publish(term, {{"dep", "prov", "m", 50}}));
  EXPECT_EQ(save(term, shard, Intended{}), SaveResult::no_room);
  EXPECT_EQ(reserved(), 60) << "what is taken stays";
}

TEST_P(Ledger, NothingIsReservedWhilePausedByAPerson) {
  const Term term = planner();
  enqueue(1, "j");
  const Shard shard = step(term, planned(term), Uploaded{FileId{"f"}, 100, 10});
  for (const char* scope : {"all", "deployment:dep", "job:j"}) {
    harness->pause(scope);
    EXPECT_EQ(save(term, shard, Intended{}), SaveResult::no_room) << scope;
    EXPECT_EQ(wait(store.deployments()).at(0).paused, std::string_view(scope) != "job:j") << scope;
    EXPECT_TRUE(harness->resume(scope));
  }
  harness->pause("deployment:another");
  harness->pause("job:another");
  EXPECT_EQ(save(term, shard, Intended{}), SaveResult::saved);
}

TEST_P(Ledger, TwoReplicasNeverOversubscribe) {
  const Term first = planner(50);
  const Term second = wait(harness->store(1).join({"host", 2, "test", {}}));
  std::vector<Shard> mine, yours;
  for (int i = 0; i < 8; ++i) {
    const Shard shard = uploaded(first);
    if (i % 2 == 0) {
      mine.push_back(shard);
    } else {
      save(first, shard, Delayed{0ms, ""}, false);
      yours.push_back(wait(harness->store(1).lease_one(second, shard.id, ShardState::uploaded)).value());
    }
  }
  int saved = 0;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    saved += save(first, mine[i], Intended{}) == SaveResult::saved ? 1 : 0;
    const Shard after = batchd::apply(yours[i], Intended{});
    saved += wait(harness->store(1).save(second, yours[i], after, true)) == SaveResult::saved ? 1 : 0;
  }
  EXPECT_EQ(saved, 5);
  EXPECT_EQ(reserved(), 50);
}

// Loads --------------------------------------------------------------------------------------------------------------

class Loads : public StoreConformance {};
CONFORMANCE_SUITE(Loads);

TEST_P(Loads, CountWhatIsStagedAndWhatIsLive) {
  const Term term = planner(1000);
  const auto load = [&] { return wait(store.deployments()).at(0); };
  EXPECT_EQ(load().staged, 0);
  Shard shard = uploaded(term, 1, 70);
  enqueue(1);
  planned(term);
  EXPECT_EQ(load().staged, 2);
  EXPECT_EQ(load().staged_tokens, 70 + 54) << "of the planned one by the estimate";
  EXPECT_EQ(load().live, 0);
  shard = step(term, shard, Intended{});
  EXPECT_EQ(load().staged, 1);
  EXPECT_EQ(load().live, 1);
  shard = step(term, shard, Created{batch_of(shard)});
  EXPECT_EQ(load().live, 1);
  EXPECT_EQ(load().reserved, 70);
  EXPECT_EQ(load().limit, 1000);
  step(term, shard, Ended{batch_of(shard, BatchStatus::completed)});
  EXPECT_EQ(load().live, 0);
  EXPECT_FALSE(load().paused);
  EXPECT_EQ(load().pause_reason, "");
}

TEST_P(Loads, LiveBatchesAreListedWithTheProvidersWord) {
  const Term term = planner();
  Shard shard = step(term, uploaded(term), Intended{});
  EXPECT_THAT(wait(store.live_batches("prov")), IsEmpty());
  shard = step(term, shard, Created{batch("b\"\\1")});
  const Shard other = submitted(term);
  auto live = wait(store.live_batches("prov"));
  ASSERT_THAT(live, SizeIs(2));
  EXPECT_EQ(live[0].shard, shard.id);
  EXPECT_EQ(live[0].batch, BatchId{"b\"\\1"});
  EXPECT_EQ(live[0].status, BatchStatus::validating);
  EXPECT_THAT(wait(store.live_batches("someone else")), IsEmpty());
  live[0].status = BatchStatus::in_progress;
  live[1].status = BatchStatus::finalizing;
  live[1].batch = BatchId{"another"};
  wait(store.note_status(term, live));
  live = wait(store.live_batches("prov"));
  EXPECT_EQ(live[0].status, BatchStatus::in_progress);
  EXPECT_EQ(live[1].status, BatchStatus::validating) << "that is not its batch";
  wait(store.note_status(Term{42}, {{other.id, *other.batch, BatchStatus::in_progress}}));
  EXPECT_EQ(wait(store.live_batches("prov"))[1].status, BatchStatus::validating) << "a void term notes nothing";
  EXPECT_EQ(row_of(shard.id).state, "submitted") << "it decides nothing";
  EXPECT_TRUE(row_of(shard.id).accepted);
  wait(store.note_status(term, {}));
  step(term, other, Delayed{0ms, "", ErrorKind::not_found});
  live = wait(store.live_batches("prov"));
  EXPECT_FALSE(live[0].denied);
  EXPECT_TRUE(live[1].denied);
  wait(store.note_status(term, live));
  EXPECT_FALSE(wait(store.live_batches("prov"))[1].denied) << "it was seen";
  step(term, shard, Ended{batch_of(shard, BatchStatus::completed)});
  EXPECT_THAT(wait(store.live_batches("prov")), SizeIs(1));
}

}  // namespace
}  // namespace batchd::conformance
