// When a provider's files are looked through for those that no shard knows of, and what the books say about them.
#include "conformance/store_conformance.hpp"

#include "core/orphan.hpp"

namespace batchd::conformance {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Orphans : public StoreConformance {
 protected:
  bool due(std::string_view provider = "prov") { return wait(store.orphans_due(provider)).has_value(); }
  void sweep(Term term, std::int64_t others = 0) {
    const auto task = wait(store.orphans_due("prov"));
    ASSERT_TRUE(task);
    wait(store.orphans_swept(term, "prov", *task, others));
  }
};
CONFORMANCE_SUITE(Orphans);

TEST_P(Orphans, AreLookedForWhenThereIsASuspicionAndThenSeldom) {
  const Term term = join();
  EXPECT_FALSE(due());
  wait(store.suspect_orphans("prov"));
  EXPECT_TRUE(due());
  EXPECT_FALSE(due("other"));
  sweep(term);
  EXPECT_FALSE(due());
  harness->pass(4min);
  EXPECT_TRUE(due()) << "soon: a lost upload may be late";
  harness->pass(10min);
  sweep(term);
  harness->pass(55min);
  EXPECT_FALSE(due()) << "nothing was suspected of late";
  harness->pass(15min);
  EXPECT_TRUE(due());
}

TEST_P(Orphans, AVoidTermHasLookedAtNothingAndALaterSuspicionStays) {
  const Term term = join();
  wait(store.suspect_orphans("prov"));
  const auto task = wait(store.orphans_due("prov"));
  ASSERT_TRUE(task);
  wait(store.orphans_swept(Term{1}, "prov", *task, 0));
  EXPECT_TRUE(due()) << "a void term has looked at nothing";
  wait(store.suspect_orphans("prov"));
  wait(store.orphans_swept(term, "prov", *task, 0));
  EXPECT_TRUE(due()) << "a suspicion that came meanwhile stays";
  sweep(term);
  EXPECT_FALSE(due());
}

TEST_P(Orphans, TheFilesOfAProviderAreThoseOfShardsThoseToComeAndTheOthers) {
  const Term term = planner();
  FileSlots slots = wait(store.file_slots("prov"));
  EXPECT_EQ(slots.counted, Milliseconds::max()) << "never";
  uploaded(term);
  submitted(term);
  finished(term, 1);
  slots = wait(store.file_slots("prov"));
  EXPECT_EQ(slots.inputs, 3);
  EXPECT_EQ(slots.results, 1);
  EXPECT_EQ(slots.coming, 4) << "of the two whose batches have not ended";
  EXPECT_EQ(slots.others, 0);
  EXPECT_EQ(wait(store.file_slots("other")).inputs, 0);

  wait(store.suspect_orphans("prov"));
  sweep(term, 7);
  harness->pass(2min);
  slots = wait(store.file_slots("prov"));
  EXPECT_EQ(slots.others, 7);
  EXPECT_GE(slots.counted, 2min);
  EXPECT_LT(slots.counted, 1h);
  EXPECT_EQ(wait(store.gauges()).files.at("prov"), 3 + 1 + 7);
  wait(store.suspect_orphans("prov"));
  sweep(term, 0);
  EXPECT_EQ(wait(store.gauges()).files.at("prov"), 3 + 1);
}

TEST_P(Orphans, ANewSuspicionIsLookedIntoAtOnce) {
  const Term term = join();
  wait(store.suspect_orphans("prov"));
  harness->pass(11min);
  sweep(term);
  EXPECT_FALSE(due());
  wait(store.suspect_orphans("prov"));
  EXPECT_TRUE(due());
}

TEST_P(Orphans, AReplicasDeathIsASuspicion) {
  const Term term = join();
  wait(store.suspect_orphans("prov"));
  sweep(term);
  const Term dead = join();
  EXPECT_FALSE(due());
  bury(dead);
  EXPECT_TRUE(due());
  EXPECT_FALSE(due("never searched"));
}

TEST_P(Orphans, TheBooksKnowWhoMayBeUploadingAndWhatWasRecorded) {
  const Term term = planner();
  enqueue(1);
  const Shard sending = planned(term);
  const Shard sent = uploaded(term);
  enqueue(1);
  const Shard waiting = planned(term);
  save(term, waiting, Delayed{0ms, ""}, false);
  const std::vector<ShardId> all{sending.id, sent.id, waiting.id, ShardId{99}};
  FileBooks books = wait(store.file_books("prov", all));
  EXPECT_TRUE(books.trusted);
  EXPECT_THAT(books.shards, SizeIs(3));
  EXPECT_TRUE(books.shards.at(sending.id).planned);
  EXPECT_TRUE(books.shards.at(sending.id).uploading);
  EXPECT_FALSE(books.shards.at(sending.id).input_file);
  EXPECT_EQ(books.shards.at(sending.id).attempt, 1);
  EXPECT_EQ(books.shards.at(sent.id).input_file, sent.input_file);
  EXPECT_FALSE(books.shards.at(sent.id).planned);
  EXPECT_FALSE(books.shards.at(sent.id).uploading);
  EXPECT_TRUE(books.shards.at(waiting.id).planned);
  EXPECT_FALSE(books.shards.at(waiting.id).uploading);
  bury(term);
  books = wait(store.file_books("prov", all));
  EXPECT_FALSE(books.shards.at(sending.id).uploading) << "the dead send nothing";
}

TEST_P(Orphans, TheBooksKnowTheInputsOfBatchesThatExistOrMayExist) {
  const Term term = planner();
  const Shard shard = uploaded(term);
  const auto needed = [&](const char* provider = "prov") { return wait(store.file_books(provider, {shard.id})).needed; };
  EXPECT_THAT(needed(), IsEmpty());
  Shard next = step(term, shard, Intended{});
  EXPECT_TRUE(needed().contains(*shard.input_file));
  next = step(term, next, NotCreated{{ErrorKind::throttled, 429, "", "", {}}, 0ms});
  EXPECT_THAT(needed(), IsEmpty());
  next = step(term, step(term, next, Intended{}), Created{batch_of(next)});
  EXPECT_TRUE(needed().contains(*shard.input_file));
  EXPECT_THAT(needed("other"), IsEmpty());
  const Shard fenced = step(term, step(term, uploaded(term), Intended{}), Fenced{});
  EXPECT_THAT(wait(store.file_books("prov", {fenced.id})).needed, IsEmpty());
}

TEST_P(Orphans, NothingIsSaidWhileCommitsMayBeLost) {
  wait(store.suspect_orphans("prov"));
  const Term term = join({"prov"});
  EXPECT_FALSE(due());
  EXPECT_FALSE(wait(store.file_books("prov", {ShardId{1}})).trusted);
  match_all(term);
  EXPECT_TRUE(due());
  EXPECT_TRUE(wait(store.file_books("prov", {ShardId{1}})).trusted);
  harness->move();
  EXPECT_FALSE(due());
  EXPECT_FALSE(wait(store.file_books("prov", {ShardId{1}})).trusted);
}

}  // namespace
}  // namespace batchd::conformance
