// What a term that is void may still change: nothing. And clocks: what the database does when its own is set.
#include "support/pg_store_fixture.hpp"

#include "core/orphan.hpp"

#include <gmock/gmock.h>

#include <chrono>

namespace batchd::testing {
namespace {

using std::chrono::steady_clock;
using ::testing::SizeIs;

class Terms : public StoreTest {
 protected:
  /// What happens to a replica that was silent for too long, while its roles and leases still bear its name.
  void bury(Term term) { sql.run("DELETE FROM batchd.replica WHERE term = " + std::to_string(term.value)); }
  /// Everything that a replica could have written.
  std::string everything() {
    return sql.value(
        "SELECT md5(concat((SELECT string_agg(s::text, '|' ORDER BY s.id) FROM batchd.shard s), "
        "(SELECT string_agg(d::text, '|' ORDER BY d.name) FROM batchd.deployment d), "
        "(SELECT string_agg(a::text, '|' ORDER BY a.request_id) FROM batchd.answer a), "
        "(SELECT string_agg(r::text, '|' ORDER BY r.name) FROM batchd.role r), "
        "(SELECT string_agg(m::text, '|' ORDER BY m.shard_id, m.ordinal) FROM batchd.shard_member m), "
        "(SELECT string_agg(p::text, '|' ORDER BY p.shard_id) FROM batchd.shard_progress p), "
        "(SELECT string_agg(o::text, '|' ORDER BY o.provider) FROM batchd.orphan_search o), "
        "(SELECT count(*) FROM batchd.queue), (SELECT count(*) FROM batchd.retry), (SELECT count(*) FROM batchd.request)))");
  }
};

// Files that no shard knows of ---------------------------------------------------------------------------------------

class OrphanBooks : public Terms {};

TEST_F(OrphanBooks, AreLookedIntoWhenThereIsASuspicionAndThenSeldom) {
  const Term term = join();
  EXPECT_FALSE(wait(store.orphans_due("prov")));
  wait(store.suspect_orphans("prov"));
  const auto due = wait(store.orphans_due("prov"));
  ASSERT_TRUE(due);
  EXPECT_FALSE(wait(store.orphans_due("other")));
  wait(store.orphans_swept(Term{1}, "prov", *due));
  EXPECT_TRUE(wait(store.orphans_due("prov"))) << "a void term has looked at nothing";
  wait(store.suspect_orphans("prov"));
  wait(store.orphans_swept(term, "prov", *due));
  const auto again = wait(store.orphans_due("prov"));
  ASSERT_TRUE(again) << "a suspicion that came meanwhile stays";
  wait(store.orphans_swept(term, "prov", *again));
  EXPECT_FALSE(wait(store.orphans_due("prov")));
  EXPECT_EQ(sql.value("SELECT due_at - clock_timestamp() < '5 min' FROM batchd.orphan_search"), "t")
      << "a lost upload may be late";
  sql.run("UPDATE batchd.orphan_search SET due_at = now(), suspected_at = now() - interval '1 hour'");
  wait(store.orphans_swept(term, "prov", *wait(store.orphans_due("prov"))));
  EXPECT_EQ(sql.value("SELECT due_at - clock_timestamp() BETWEEN '50 min' AND '70 min' FROM batchd.orphan_search"), "t");
}

TEST_F(OrphanBooks, AReplicasDeathIsASuspicion) {
  const Term term = join();
  wait(store.suspect_orphans("prov"));
  wait(store.orphans_swept(term, "prov", *wait(store.orphans_due("prov"))));
  join();
  sql.run("UPDATE batchd.replica SET heartbeat_at = clock_timestamp() - interval '1 h' WHERE term <> " +
          std::to_string(term.value));
  EXPECT_EQ(wait(store.bury_dead(Milliseconds{10'000}, {})).replicas, 1);
  EXPECT_TRUE(wait(store.orphans_due("prov")));
}

TEST_F(OrphanBooks, KnowWhoMayBeUploadingAndWhatWasRecorded) {
  const Term term = planner();
  insert(1);
  const Shard sending = planned(term);
  insert(1);
  const Shard sent = step(term, planned(term), Uploaded{FileId{"f-2"}, 1, 1});
  insert(1);
  Shard waiting = planned(term);
  wait(store.save(term, waiting, batchd::apply(waiting, Delayed{Milliseconds{0}, ""}), false));
  const std::vector<ShardId> all{sending.id, sent.id, waiting.id, ShardId{99}};
  FileBooks books = wait(store.file_books("prov", all));
  EXPECT_TRUE(books.trusted);
  EXPECT_THAT(books.shards, SizeIs(3));
  EXPECT_TRUE(books.shards.at(sending.id).uploading);
  EXPECT_EQ(books.shards.at(sent.id).input_file, FileId{"f-2"});
  EXPECT_FALSE(books.shards.at(sent.id).uploading);
  EXPECT_FALSE(books.shards.at(waiting.id).uploading);
  bury(term);
  books = wait(store.file_books("prov", all));
  EXPECT_FALSE(books.shards.at(sending.id).uploading) << "the dead send nothing";
}

TEST_F(OrphanBooks, KnowTheInputsOfBatchesThatExistOrMayExist) {
  const Term term = planner();
  insert(1);
  Shard shard = step(term, planned(term), Uploaded{FileId{"f-1"}, 1, 1});
  EXPECT_TRUE(wait(store.file_books("prov", {shard.id})).needed.empty());
  shard = step(term, shard, Intended{});
  EXPECT_TRUE(wait(store.file_books("prov", {shard.id})).needed.contains(FileId{"f-1"}));
  Batch batch;
  batch.id = BatchId{"b"};
  step(term, shard, Created{batch});
  EXPECT_TRUE(wait(store.file_books("prov", {shard.id})).needed.contains(FileId{"f-1"}));
  EXPECT_TRUE(wait(store.file_books("other", {shard.id})).needed.empty());
}

TEST_F(OrphanBooks, SayNothingWhileCommitsMayBeLost) {
  wait(store.suspect_orphans("prov"));
  wait(store.join({"host", 1, "test", {"prov"}}));
  EXPECT_FALSE(wait(store.orphans_due("prov")));
  EXPECT_FALSE(wait(store.file_books("prov", {ShardId{1}})).trusted);
  sql.run("DELETE FROM batchd.unmatched");
  EXPECT_TRUE(wait(store.orphans_due("prov")));
}

}  // namespace
}  // namespace batchd::testing
