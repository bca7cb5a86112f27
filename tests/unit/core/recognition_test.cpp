#include "core/recognition.hpp"

#include "core/remote_names.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace batchd {

void PrintTo(Recognition recognition, std::ostream* out) {
  *out << to_string(recognition);
}

namespace {

Batch listed(BatchStatus status = BatchStatus::in_progress, int attempt = 1) {
  Batch batch;
  batch.id = BatchId{"batch_x"};
  batch.status = status;
  batch.input_file_id = FileId{"file-1"};
  batch.metadata = batch_metadata("ours", ShardId{7}, attempt);
  return batch;
}

BookEntry::Held held(ShardState state, int attempt = 1, bool intent = false) {
  BookEntry::Held shard;
  shard.state = state;
  shard.attempt = attempt;
  shard.intent = intent;
  shard.requests = 10;
  if (state == ShardState::submitted) shard.batch = BatchId{"batch_other"};
  return shard;
}

/// The books about attempt 1 of shard 7, whose POST is announced and fenced unless said otherwise.
BookEntry entry(std::optional<BookEntry::Held> shard, bool announced = true, int attempt = 1) {
  BookEntry books;
  books.shard = ShardId{7};
  books.attempt = attempt;
  books.announced = announced;
  books.held = shard;
  return books;
}

TEST(Claim, IsReadFromMetadataOfThisInstance) {
  const auto claim = claim_of(listed(BatchStatus::completed, 3), "ours");
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim->shard, ShardId{7});
  EXPECT_EQ(claim->attempt, 3);
}

TEST(Claim, OfOthersIsNone) {
  EXPECT_FALSE(claim_of(listed(), "another")) << "another instance's";
  Batch batch = listed();
  batch.metadata = {{"project", "x"}};
  EXPECT_FALSE(claim_of(batch, "ours")) << "somebody's, on whatever file";
  batch.metadata.clear();
  batch.input_file_id.reset();
  EXPECT_FALSE(claim_of(batch, "ours")) << "nothing to go by";
  for (const char* number : {"", "0", "-1", "7x", "07", "99999999999999999999"}) {
    batch = listed();
    batch.metadata["batchd_shard"] = number;
    EXPECT_FALSE(claim_of(batch, "ours")) << number;
  }
}

TEST(Claim, WithoutMetadataGoesByTheInputFile) {
  Batch batch = listed();
  batch.metadata.clear();
  const auto claim = claim_of(batch, "ours");
  ASSERT_TRUE(claim);
  EXPECT_FALSE(claim->shard);
  EXPECT_EQ(claim->input_file, FileId{"file-1"});
}

TEST(Recognition, IsDecidedByTheBooks) {
  using S = ShardState;
  using R = Recognition;
  struct Case {
    const char* what;
    Batch batch;
    BookEntry books;
    Recognition expected;
  };
  BookEntry nobody;
  BookEntry recorded = entry(held(S::submitted));
  recorded.recorded = true;
  BookEntry answered = entry(held(S::uploaded, 2));
  answered.batch = BatchId{"batch_x"};
  BookEntry present = entry(held(S::submitted), false);
  present.held->batch = BatchId{"batch_x"};
  BookEntry retired = entry(std::nullopt, false);
  retired.retired = true;
  Batch too_large = listed();
  too_large.counts = RequestCounts{11, 0, 0};
  Batch fitting = listed();
  fitting.counts = RequestCounts{9, 0, 0};
  Batch ran_and_failed = listed(BatchStatus::failed);
  ran_and_failed.error_file_id = FileId{"file-e"};
  const Batch refused = listed(BatchStatus::failed);

  const std::vector<Case> cases{
      {"an input file that no POST of ours named", listed(), nobody, R::foreign},
      {"judged before", listed(), recorded, R::known},
      {"what the books say came of that POST", listed(), answered, R::known},
      {"the shard's present batch", listed(), present, R::known},
      {"of a shard that retention has forgotten", listed(), retired, R::known},
      {"of a shard that should be there", listed(), entry(std::nullopt, false), R::lost},
      {"the same, and nothing ran", refused, entry(std::nullopt, false), R::harmless},
      {"the answer is still looked for", listed(), entry(held(S::uploaded, 1, true)), R::open},
      {"an earlier one while a later answer is unknown", listed(), entry(held(S::uploaded, 2, true)), R::wait},
      {"a later one while an earlier answer is unknown", listed(), entry(held(S::uploaded, 1, true), false, 2), R::wait},
      {"that one failed while it was validated", refused, entry(held(S::uploaded, 2, true)), R::harmless},
      {"fenced, and the next file is not yet sent", listed(), entry(held(S::planned, 2)), R::take_over},
      {"fenced, and the next POST is not yet made", listed(), entry(held(S::uploaded, 2)), R::take_over},
      {"the commit of its intent was lost", listed(), entry(held(S::uploaded), false), R::take_over},
      {"the same, and that of its upload", listed(), entry(held(S::planned), false), R::take_over},
      {"the same when it has ended", listed(BatchStatus::completed), entry(held(S::uploaded), false), R::take_over},
      {"the same when it failed: its shard learns why", refused, entry(held(S::uploaded), false), R::take_over},
      {"fenced, and it failed: nothing ran", refused, entry(held(S::uploaded, 2)), R::harmless},
      {"more requests than the shard has", too_large, entry(held(S::uploaded), false), R::lost},
      {"the same, of a POST of ours", too_large, entry(held(S::uploaded)), R::duplicate},
      {"not more requests than the shard has", fitting, entry(held(S::uploaded), false), R::take_over},
      {"beside the batch that runs", listed(), entry(held(S::submitted, 2)), R::duplicate},
      {"beside it, of the same attempt", listed(), entry(held(S::submitted, 1)), R::duplicate},
      {"beside it, already over", listed(BatchStatus::cancelled), entry(held(S::submitted, 2)), R::duplicate},
      {"beside it, failed without a file", refused, entry(held(S::submitted, 2)), R::harmless},
      {"beside it, failed with files", ran_and_failed, entry(held(S::submitted, 2)), R::duplicate},
      {"an attempt that is still to come for us", listed(), entry(held(S::submitted, 1), false, 2), R::wait},
      {"after the shard finished", listed(), entry(held(S::finished, 2)), R::duplicate},
      {"after it was merged", listed(), entry(held(S::merged, 2)), R::duplicate},
      {"after it was closed", listed(), entry(held(S::closed, 2)), R::duplicate},
      {"after it was closed, and nothing ran", refused, entry(held(S::closed, 2)), R::harmless},
  };
  for (const Case& c : cases) EXPECT_EQ(recognise(c.batch, c.books), c.expected) << c.what;
}

TEST(Recognition, OfABatchWithAnotherFileThanWasAnnouncedIsThatItsNumberWasGivenOutBefore) {
  for (const ShardState state : {ShardState::planned, ShardState::uploaded, ShardState::submitted, ShardState::closed}) {
    BookEntry books = entry(held(state, 1, state == ShardState::uploaded));
    books.input_file = FileId{"file-1"};
    EXPECT_NE(recognise(listed(), books), Recognition::lost);
    books.input_file = FileId{"file-2"};
    EXPECT_EQ(recognise(listed(), books), Recognition::lost);
    EXPECT_EQ(recognise(listed(BatchStatus::failed), books), Recognition::harmless);
    Batch silent = listed();
    silent.input_file_id.reset();
    EXPECT_NE(recognise(silent, books), Recognition::lost) << "it does not say";
  }
}

TEST(Recognition, OfSeveralBatchesOfAShardTakesTheOneThatRan) {
  const Batch failed = listed(BatchStatus::failed);
  const Batch running = listed();
  EXPECT_TRUE(better(running, 1, failed, 2));
  EXPECT_FALSE(better(failed, 2, running, 1));
  EXPECT_TRUE(better(running, 2, running, 1)) << "a later POST was made only when the earlier had come to nothing";
  EXPECT_FALSE(better(running, 1, running, 2));
}

TEST(Stray, IsStoppedThenUsedThenClearedAway) {
  Stray stray = stray_of(listed(), ShardId{7}, 1);
  stray.holder = ShardState::submitted;
  EXPECT_EQ(next_step(stray), StrayStep::stop);
  stray.over = true;
  stray.output_file = FileId{"file-o"};
  EXPECT_EQ(next_step(stray), StrayStep::leave);
  stray.holder = ShardState::finished;
  EXPECT_EQ(next_step(stray), StrayStep::leave);
  for (const auto& holder : {std::optional(ShardState::merged), std::optional(ShardState::closed), std::optional<ShardState>{}}) {
    stray.holder = holder;
    stray.used = false;
    EXPECT_EQ(next_step(stray), StrayStep::harvest);
    stray.used = true;
    EXPECT_EQ(next_step(stray), StrayStep::clear);
  }
  stray.used = false;
  stray.output_file.reset();
  EXPECT_EQ(next_step(stray), StrayStep::clear) << "it answered nothing";
}

}  // namespace
}  // namespace batchd
