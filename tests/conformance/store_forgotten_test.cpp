// A database that was put back to before a replica's term began, or before a POST was announced, does not know that anything is
// missing: it is proved by whoever was there before, and by what a provider lists.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Forgotten : public StoreConformance {
 protected:
  BookEntry books_of(const std::string& file, const std::string& provider = "prov") {
    Claim claim;
    claim.batch = BatchId{"batch-bare"};
    claim.input_file = FileId{file};
    return wait(store.look_up(provider, {claim})).at(0);
  }
  Batch bare(const std::string& file) {
    Batch b = batch("batch-bare");
    b.input_file_id = FileId{file};
    return b;
  }
};
CONFORMANCE_SUITE(Forgotten);

// Terms ---------------------------------------------------------------------------------------------------------------

TEST_P(Forgotten, TermsThatEndedAreRememberedToHaveEnded) {
  planner();
  const Term buried = join();
  const Term left = join();
  bury(buried);
  wait(harness->store(1).leave(left));
  EXPECT_EQ(wait(store.heartbeat(buried)), Standing::buried);
  EXPECT_EQ(wait(store.heartbeat(left)), Standing::buried);
  EXPECT_THAT(harness->picture().unmatched, IsEmpty());
}

TEST_P(Forgotten, ATermOfWhichTheDatabaseKnowsNothingProvesThatItHasGoneBack) {
  const Term old = planner();
  const Shard shard = uploaded(old);
  const Shard waiting = uploaded(old);
  wait(store.heartbeat(old));
  harness->backup();
  const Term next = join({"prov"});
  match_all(next);
  EXPECT_EQ(wait(store.heartbeat(next)), Standing::alive);
  harness->restore();
  EXPECT_THAT(harness->picture().unmatched, IsEmpty()) << "it does not know it itself";

  EXPECT_EQ(wait(store.heartbeat(next)), Standing::rewound);
  EXPECT_THAT(harness->picture().unmatched, ElementsAre("prov rewound"));
  EXPECT_EQ(save(old, waiting, Intended{}), SaveResult::no_room);
  EXPECT_TRUE(leased(old, shard.id, ShardState::uploaded).doubtful);
  EXPECT_THAT(harness->picture().replicas, ElementsAre(old));
  EXPECT_EQ(wait(store.heartbeat(next)), Standing::buried) << "that term is over";
  EXPECT_EQ(wait(store.heartbeat(old)), Standing::alive) << "of what this one was told, nothing is lost";
}

TEST_P(Forgotten, SoDoesATermThatHasNeverBeatenYet) {
  planner();
  harness->backup();
  const Term next = join();
  harness->restore();
  EXPECT_EQ(wait(store.heartbeat(next)), Standing::rewound);
}

TEST_P(Forgotten, EachOfSeveralReplicasIsToldThatItsPastIsLost) {
  planner();
  harness->backup();
  const Term one = join();
  const Term other = wait(harness->store(1).join({"host", 2, "test", {}}));
  harness->restore();
  EXPECT_EQ(wait(store.heartbeat(one)), Standing::rewound);
  match_all(join());
  EXPECT_EQ(wait(harness->store(1).heartbeat(other)), Standing::rewound);
  EXPECT_THAT(harness->picture().unmatched, ElementsAre("prov rewound"));
}

TEST_P(Forgotten, AnEndThatIsForgottenIsNoBeginning) {
  const Term term = planner();
  wait(store.heartbeat(term));
  harness->backup();
  bury(term);
  harness->restore();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive) << "as the database knows it, and nothing confirmed to it is lost";
}

TEST_P(Forgotten, ATermThatWasEndedBeforeItsLastConfirmedBeatProvesThatTheDatabaseHasGoneBack) {
  const Term other = planner();
  const Term term = wait(harness->store(1).join({"host", 2, "test", {}}));
  EXPECT_EQ(wait(harness->store(1).heartbeat(term)), Standing::alive);
  harness->backup();
  EXPECT_EQ(wait(harness->store(1).heartbeat(term)), Standing::alive);
  harness->restore();
  bury(term);  // before it beats again: to this database it has been silent since the backup
  EXPECT_EQ(wait(harness->store(1).heartbeat(term)), Standing::rewound);
  EXPECT_THAT(harness->picture().unmatched, ElementsAre("prov rewound"));
  EXPECT_EQ(wait(harness->store(1).heartbeat(term)), Standing::buried) << "that is told once";
  EXPECT_EQ(wait(store.heartbeat(other)), Standing::alive) << "of what this one was told, nothing is lost";
}

TEST_P(Forgotten, NewProcessesAloneNoticeNothing) {
  planner();
  harness->backup();
  join();
  harness->restore();
  const Term fresh = wait(harness->store(1).join({"host", 2, "test", {"prov"}}));
  EXPECT_EQ(wait(harness->store(1).heartbeat(fresh)), Standing::alive);
  EXPECT_THAT(harness->picture().unmatched, ElementsAre("prov start"));
}

TEST_P(Forgotten, EndsAreRememberedForAWeek) {
  planner();
  const Term first = join();
  bury(first);
  const Term second = join();
  harness->pass(24h * 6);
  bury(second);
  EXPECT_EQ(wait(store.heartbeat(first)), Standing::buried);
  const Term third = join();
  harness->pass(24h * 8);
  bury(third);
  EXPECT_EQ(wait(store.heartbeat(second)), Standing::rewound) << "a false alarm, which does no harm";
}

// Announcements ---------------------------------------------------------------------------------------------------------

TEST_P(Forgotten, ABatchWithoutMetadataIsKnownByTheFileOfItsShard) {
  const Term term = planner();
  const Shard shard = uploaded(term, 3);
  const std::string file = shard.input_file->value;
  harness->backup();
  step(term, step(term, shard, Intended{}), Created{bare(file)});
  EXPECT_EQ(recognise(bare(file), books_of(file)), Recognition::known);
  harness->restore();

  const BookEntry books = books_of(file);
  EXPECT_EQ(books.shard, shard.id);
  EXPECT_EQ(books.attempt, 1);
  EXPECT_FALSE(books.announced) << "which proves that a commit is lost";
  ASSERT_TRUE(books.held);
  EXPECT_EQ(books.held->state, ShardState::uploaded);
  EXPECT_FALSE(books.held->intent);
  EXPECT_EQ(books.held->requests, 3);
  EXPECT_EQ(recognise(bare(file), books), Recognition::take_over);

  EXPECT_FALSE(books_of(file, "other").shard) << "files of another account may have the same name";
  EXPECT_FALSE(books_of("file-nobodys").shard);
}

TEST_P(Forgotten, ThatBatchIsOfTheShardsPresentAttempt) {
  const Term term = planner();
  Shard shard = step(term, step(term, uploaded(term), Intended{}), Fenced{});
  shard = step(term, shard, Uploaded{FileId{"file-second"}, 1000, 10});
  EXPECT_EQ(books_of("file-second").shard, shard.id);
  EXPECT_EQ(books_of("file-second").attempt, 2);
  EXPECT_FALSE(books_of("file-second").announced);
}

TEST_P(Forgotten, APostInTheBooksSaysMoreThanTheFileOfAShard) {
  const Term term = planner();
  Shard shard = step(term, uploaded(term), Intended{});
  shard = step(term, shard, NotCreated{{ErrorKind::throttled, 429, "", "slow down", {}}, 0ms});
  const BookEntry books = books_of(shard.input_file->value);
  EXPECT_EQ(books.attempt, 1);
  EXPECT_TRUE(books.announced);
  EXPECT_EQ(books.held->attempt, 2);
}

TEST_P(Forgotten, AShardThatWasGivenUpMeanwhileIsKnownByItsFileToo) {
  const Term term = planner();
  Shard shard = uploaded(term);
  const std::string file = shard.input_file->value;
  shard = step(term, shard, GivenUp{});
  EXPECT_EQ(recognise(bare(file), books_of(file)), Recognition::duplicate);
  close(term, shard);
  EXPECT_EQ(books_of(file).shard, shard.id);
  EXPECT_EQ(recognise(bare(file), books_of(file)), Recognition::duplicate);
}

}  // namespace
}  // namespace batchd::conformance
