// The books of every POST, the batches they do not explain, and shards that are made anew for batches whose own was lost.
#include "support/pg_store_fixture.hpp"

#include "core/remote_names.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Books : public StoreTest {
 protected:
  Shard uploaded(Term term, int requests = 2) {
    insert(requests);
    return step(term, planned(term), Uploaded{FileId{"file-1"}, 1000, 10});
  }
  static Batch batch(const std::string& id, BatchStatus status = BatchStatus::in_progress) {
    Batch b;
    b.id = BatchId{id};
    b.status = status;
    b.input_file_id = FileId{"file-1"};
    return b;
  }
  /// The books as rows: attempt, answer, batch.
  std::string lines() {
    return sql.value(
        "SELECT coalesce(string_agg(concat_ws(' ', attempt, answer, batch_id), '; ' ORDER BY shard_id, attempt), '') FROM "
        "batchd.submission");
  }
  BookEntry entry(const std::string& id, std::optional<ShardId> shard, int attempt, const std::string& file = "") {
    Claim claim;
    claim.batch = BatchId{id};
    claim.shard = shard;
    claim.attempt = attempt;
    if (!file.empty()) claim.input_file = FileId{file};
    return wait(store.look_up("prov", {claim})).at(0);
  }
  /// A living term that may plan and watch.
  Term watcher() {
    const Term term = planner();
    EXPECT_TRUE(wait(store.hold_role(term, "watch:prov")));
    return term;
  }
  FoundBatch found(const std::vector<std::int64_t>& ids, int attempt = 1) {
    FoundBatch f;
    f.provider = "prov";
    f.batch = BatchId{"batch-f"};
    f.shard = ShardId{900};
    f.attempt = 2;
    f.input_file = FileId{"file-f"};
    f.model = "dep";
    f.tokens = 77;
    for (const std::int64_t id : ids) f.lines.push_back({RequestId{id}, attempt});
    return f;
  }
  std::vector<std::int64_t> request_ids() {
    std::vector<std::int64_t> ids;
    for (const auto& row : sql.run("SELECT id FROM batchd.request ORDER BY id")) ids.push_back(std::stoll(row[0]));
    return ids;
  }
};

TEST_F(Books, FollowEveryPostToItsAnswer) {
  const Term term = planner();
  Shard shard = uploaded(term);
  EXPECT_EQ(lines(), "") << "nothing was announced";
  shard = step(term, shard, Intended{});
  EXPECT_EQ(lines(), "1 open");
  shard = step(term, shard, NotCreated{{ErrorKind::throttled, 429, "", "slow down", {}}, Milliseconds{0}});
  EXPECT_EQ(lines(), "1 not_created");
  shard = step(term, step(term, shard, Intended{}), Fenced{});
  EXPECT_EQ(lines(), "1 not_created; 2 fenced");
  shard = step(term, shard, Uploaded{FileId{"file-2"}, 1000, 10});
  shard = step(term, shard, Intended{});
  shard = step(term, shard, Created{batch("batch-3")});
  EXPECT_EQ(lines(), "1 not_created; 2 fenced; 3 created batch-3");
  shard = step(term, shard, NotRun{Milliseconds{0}});
  shard = step(term, step(term, shard, Intended{}), Refused{{ErrorKind::permanent, 400, "", "no", {}}});
  EXPECT_EQ(lines(), "1 not_created; 2 fenced; 3 created batch-3; 4 not_created");
  EXPECT_EQ(sql.value("SELECT string_agg(input_file, ' ' ORDER BY attempt) FROM batchd.submission"),
            "file-1 file-1 file-2 file-2");
}

TEST_F(Books, RefuseASecondPostOfAnAttempt) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  step(term, shard, Intended{});
  // Whatever made the shard forget: a bug, or a hand in the database.
  sql.run("UPDATE batchd.shard SET intent_at = NULL, reserved = 0");
  EXPECT_THROW(wait(store.save(term, shard, batchd::apply(shard, Intended{}), true)), StoreError);
  EXPECT_EQ(sql.value("SELECT intent_at IS NULL FROM batchd.shard"), "t") << "all of that is undone";
}

TEST_F(Books, ABatchThatWasFoundTakesItsRoomEvenWhenThereIsNone) {
  const Term term = planner(5);
  Shard shard = uploaded(term);
  EXPECT_EQ(wait(store.save(term, shard, batchd::apply(shard, Intended{}), true)), SaveResult::no_room);
  shard = step(term, shard, Found{batch("batch-1"), 1, FileId{"file-1"}});
  EXPECT_EQ(wait(store.deployments()).at(0).reserved, 10);
  EXPECT_EQ(lines(), "1 created batch-1");
  EXPECT_THAT(wait(store.live_batches("prov")), SizeIs(1));
  step(term, shard, Ended{batch("batch-1", BatchStatus::completed)});
  EXPECT_EQ(wait(store.deployments()).at(0).reserved, 0);
}

TEST_F(Books, ABatchOfAFencedAttemptIsEnteredWhereItBelongs) {
  const Term term = planner();
  const Shard fenced = step(term, step(term, uploaded(term), Intended{}), Fenced{});
  step(term, fenced, Found{batch("batch-1"), 1, FileId{"file-1"}});
  EXPECT_EQ(lines(), "1 created batch-1");
  EXPECT_EQ(sql.value("SELECT attempt FROM batchd.shard"), "2") << "the next POST is another attempt than any before";
}

TEST_F(Books, TellWhatIsKnownOfAListedBatch) {
  const Term term = planner();
  const Shard fenced = step(term, step(term, uploaded(term), Intended{}), Fenced{});
  BookEntry known = entry("batch-1", fenced.id, 1);
  ASSERT_TRUE(known.held);
  EXPECT_EQ(known.held->state, ShardState::planned);
  EXPECT_EQ(known.held->attempt, 2);
  EXPECT_EQ(known.held->requests, 2);
  EXPECT_TRUE(known.announced);
  EXPECT_EQ(known.input_file, FileId{"file-1"});
  EXPECT_EQ(recognise(batch("batch-1"), known), Recognition::take_over);

  known = entry("batch-1", std::nullopt, 0, "file-1");
  EXPECT_EQ(known.shard, fenced.id) << "without metadata, by the file";
  EXPECT_EQ(known.attempt, 1);
  EXPECT_EQ(recognise(batch("batch-x"), entry("batch-x", std::nullopt, 0, "file-of-others")), Recognition::foreign);

  const Shard taken = step(term, fenced, Found{batch("batch-1"), 1, FileId{"file-1"}});
  EXPECT_EQ(recognise(batch("batch-1"), entry("batch-1", taken.id, 1)), Recognition::known);
  EXPECT_EQ(recognise(batch("batch-2"), entry("batch-2", taken.id, 3)), Recognition::wait);
  EXPECT_EQ(recognise(batch("batch-2"), entry("batch-2", taken.id, 1)), Recognition::duplicate);
  EXPECT_EQ(recognise(batch("batch-9"), entry("batch-9", ShardId{900}, 1)), Recognition::lost);
  sql.run("UPDATE batchd.instance SET retired_through = 900");
  EXPECT_EQ(recognise(batch("batch-9"), entry("batch-9", ShardId{900}, 1)), Recognition::known);
}

TEST_F(Books, AStrayIsEnteredOnce) {
  const Term term = planner();
  const Shard shard = step(term, step(term, uploaded(term), Intended{}), Created{batch("batch-1")});
  Batch twin = batch("batch-2");
  twin.counts = RequestCounts{2, 1, 0};
  twin.created_at = 1'700'000'000;
  const Stray stray = stray_of(twin, shard.id, 1);
  EXPECT_FALSE(wait(store.wants_walks("prov")));
  EXPECT_TRUE(wait(store.record_stray("prov", StrayKind::duplicate, stray)));
  EXPECT_FALSE(wait(store.record_stray("prov", StrayKind::duplicate, stray)));
  EXPECT_TRUE(wait(store.wants_walks("prov")));
  EXPECT_EQ(recognise(twin, entry("batch-2", shard.id, 1)), Recognition::known) << "judged once";
  EXPECT_EQ(
      sql.value(
          "SELECT concat_ws(' ', total, completed, failed, extract(epoch FROM batch_created_at)::bigint) FROM batchd.stray"),
      "2 1 0 1700000000");

  auto open = wait(store.open_strays("prov"));
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].holder, ShardState::submitted);
  EXPECT_EQ(next_step(open[0]), StrayStep::stop);
  open[0].over = true;
  open[0].status = BatchStatus::cancelled;
  open[0].output_file = FileId{"out-2"};
  wait(store.update_stray("prov", open[0], false));
  const auto mine = wait(store.strays_of(shard.id));
  ASSERT_THAT(mine, SizeIs(1));
  EXPECT_TRUE(mine[0].over);
  EXPECT_EQ(mine[0].output_file, FileId{"out-2"});
  EXPECT_EQ(mine[0].input_file, FileId{"file-1"});
  wait(store.update_stray("prov", mine[0], true));
  EXPECT_THAT(wait(store.open_strays("prov")), IsEmpty());
  EXPECT_FALSE(wait(store.wants_walks("prov")));
  EXPECT_TRUE(wait(store.record_stray("prov", StrayKind::harmless, stray_of(batch("batch-3"), shard.id, 1))));
  EXPECT_THAT(wait(store.open_strays("prov")), IsEmpty()) << "nothing is to be done about a harmless one";
}

TEST_F(Books, AFenceWantsWalksForTwoDays) {
  const Term term = planner();
  step(term, step(term, uploaded(term), Intended{}), Fenced{});
  EXPECT_TRUE(wait(store.wants_walks("prov")));
  EXPECT_FALSE(wait(store.wants_walks("another")));
  sql.run("UPDATE batchd.submission SET answered_at = answered_at - interval '49 h'");
  EXPECT_FALSE(wait(store.wants_walks("prov")));
}

TEST_F(Books, ALostShardIsMadeAnewFromWhatItsBatchHolds) {
  const Term term = watcher();
  insert(6);
  wait(store.backlog());
  const auto ids = request_ids();
  const auto bound = wait(store.bind_found(term, found({ids[0], ids[1], ids[4], 999'999}, 2)));
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->id, ShardId{900});
  EXPECT_EQ(bound->requests, 3) << "one is not known here";
  const Shard shard = leased(term, ShardId{900}, ShardState::submitted);
  EXPECT_EQ(shard.attempt, 2);
  EXPECT_EQ(shard.batch, BatchId{"batch-f"});
  EXPECT_EQ(shard.input_file, FileId{"file-f"});
  EXPECT_EQ(shard.deployment, "dep");
  EXPECT_EQ(shard.lane, (Lane{"m", "/v1/chat/completions"}));
  EXPECT_EQ(shard.reserved, 77);
  EXPECT_EQ(wait(store.deployments()).at(0).reserved, 77);
  EXPECT_EQ(lines(), "2 created batch-f");
  const ShardContents contents = wait(store.contents(shard.id));
  EXPECT_THAT(undecided(contents), ElementsAre(RequestId{ids[0]}, RequestId{ids[1]}, RequestId{ids[4]}));
  EXPECT_EQ(contents.attempts.at(RequestId{ids[0]}), 1) << "its line is for the second attempt";
  expect_nothing_lost();
  EXPECT_EQ(sql.number("SELECT in_flight FROM batchd.totals"), 3);

  const auto again = wait(store.bind_found(term, found({ids[0], ids[1], ids[4]}, 2)));
  EXPECT_EQ(again->id, ShardId{900}) << "the same again, after a COMMIT whose answer was lost";
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.shard"), 1);
  const auto rest = wait(store.plan(term, order_for_all()));
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->requests, 3) << "the others are planned as ever";
}

TEST_F(Books, WhatAnotherShardHoldsStaysThere) {
  const Term term = watcher();
  insert(4);
  const Shard shard = planned(term, 2);
  insert(1, "late");
  wait(store.backlog());
  const auto ids = request_ids();
  auto bound = wait(store.bind_found(term, found(ids)));
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->requests, 3);
  EXPECT_EQ(wait(store.contents(shard.id)).members.size(), 2u);
  FoundBatch other = found(ids);
  other.batch = BatchId{"batch-g"};
  other.shard = ShardId{901};
  bound = wait(store.bind_found(term, other));
  ASSERT_TRUE(bound);
  EXPECT_FALSE(bound->id) << "none of them waits";
  expect_nothing_lost();
}

TEST_F(Books, WhatCameBackUnansweredIsTakenFromADuplicate) {
  const Term term = watcher();
  insert(3);
  Shard shard = finish(term, planned(term), BatchStatus::expired);
  ShardContents contents = wait(store.contents(shard.id));
  const auto ids = undecided(contents);
  SettleChunk chunk;
  chunk.settled.push_back(answered(ids[0]));
  chunk.returned.push_back({ids[1], 1, Milliseconds{60'000}, R"({"code":"batch_expired"})"});
  chunk.returned.push_back({ids[2], 1, Milliseconds{60'000}, ""});
  ASSERT_TRUE(settle(term, shard, contents, std::move(chunk)));
  step(term, shard, Merged{});

  FoundBatch harvest = found({ids[0].value, ids[1].value, ids[2].value}, 1);
  harvest.shard.reset();
  harvest.model.clear();
  harvest.tokens = 0;
  const auto bound = wait(store.bind_found(term, harvest));
  ASSERT_TRUE(bound && bound->id);
  EXPECT_NE(bound->id, shard.id);
  EXPECT_EQ(bound->requests, 2) << "the answered one stays answered";
  const ShardContents taken = wait(store.contents(*bound->id));
  EXPECT_THAT(undecided(taken), ElementsAre(ids[1], ids[2]));
  EXPECT_TRUE(taken.attempts.empty()) << "the paid answers are those of the first attempt";
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.retry"), 0);
  EXPECT_EQ(lines(), "1 created batch-" + std::to_string(shard.id.value)) << "it was never posted";
  expect_nothing_lost();
}

TEST_F(Books, OnlyTheWatcherBindsAndOnlyWithCountersRolledUp) {
  const Term term = watcher();
  insert(1);
  EXPECT_FALSE(wait(store.bind_found(term, found(request_ids())))) << "the flow is not announced yet";
  wait(store.backlog());
  const Term other = join();
  EXPECT_FALSE(wait(store.bind_found(other, found(request_ids()))));
  EXPECT_TRUE(wait(store.bind_found(term, found(request_ids()))));
}

TEST_F(Books, NumbersGoOnAboveThoseThatAProviderLists) {
  wait(store.skip_shards(ShardId{5000}));
  wait(store.skip_shards(ShardId{40}));
  const Term term = planner();
  insert(1);
  EXPECT_EQ(planned(term).id, ShardId{5001});
}

TEST_F(Books, AreForgottenWithTheirShard) {
  const Term term = planner();
  Shard shard = step(term, step(term, uploaded(term), Intended{}), Created{batch("batch-1")});
  wait(store.record_stray("prov", StrayKind::harmless, stray_of(batch("batch-2"), shard.id, 1)));
  wait(store.record_stray("prov", StrayKind::lost, stray_of(batch("batch-3"), shard.id, 1)));
  sql.run(
      "UPDATE batchd.shard SET state = 'closed', finish_reason = 'ran', owner = NULL, reserved = 0, closed_at = '2020-01-01'");
  sql.run("DELETE FROM batchd.shard_member");
  wait(store.retire(term, Milliseconds{1000}));
  EXPECT_EQ(lines(), "");
  EXPECT_EQ(sql.value("SELECT string_agg(kind, ' ') FROM batchd.stray"), "lost") << "people have not seen that one yet";
  EXPECT_EQ(sql.number("SELECT retired_through FROM batchd.instance"), shard.id.value);
}

TEST_F(Books, AreNotThoseOfAnotherInstance) {
  const Term term = planner();
  const Shard shard = step(term, step(term, uploaded(term), Intended{}), Created{batch("batch-1")});
  wait(store.record_stray("prov", StrayKind::duplicate, stray_of(batch("batch-2"), shard.id, 1)));
  wait(store.leave(term));
  sql.run("SELECT batchd.adopt_as_new_instance('0 s')");
  EXPECT_EQ(lines(), "");
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.stray"), 0);
}

}  // namespace
}  // namespace batchd::testing
