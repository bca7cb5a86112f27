#include "core/shard.hpp"

#include "core/refusal.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

namespace batchd {
namespace {

Shard planned() {
  Shard shard;
  shard.id = ShardId{3};
  shard.requests = 10;
  shard.tokens = 500;
  return shard;
}
Shard uploaded() {
  return apply(planned(), Uploaded{FileId{"file-1"}, 1000, 700});
}
Shard intended() {
  return apply(uploaded(), Intended{});
}
Batch batch(BatchStatus status) {
  Batch b;
  b.id = BatchId{"batch_1"};
  b.status = status;
  return b;
}
Shard submitted() {
  return apply(intended(), Created{batch(BatchStatus::validating)});
}
Shard finished() {
  return apply(submitted(), Ended{batch(BatchStatus::completed)});
}
Shard merged() {
  return apply(finished(), Merged{});
}
Shard closed() {
  return apply(merged(), Closed{});
}

TEST(Shard, WalksForwardThroughItsLife) {
  EXPECT_EQ(uploaded().state, ShardState::uploaded);
  EXPECT_EQ(uploaded().input_file, FileId{"file-1"});
  EXPECT_EQ(uploaded().tokens, 700);
  EXPECT_EQ(submitted().state, ShardState::submitted);
  EXPECT_EQ(submitted().batch, BatchId{"batch_1"});
  EXPECT_EQ(finished().state, ShardState::finished);
  EXPECT_EQ(merged().state, ShardState::merged);
  EXPECT_EQ(closed().state, ShardState::closed);
}

TEST(Shard, ReservesWithTheIntentAndReleasesWithTheEnd) {
  EXPECT_EQ(uploaded().reserved, 0);
  EXPECT_EQ(intended().reserved, 700);
  EXPECT_TRUE(intended().intent);
  EXPECT_EQ(submitted().reserved, 700);
  EXPECT_FALSE(submitted().intent);
  EXPECT_EQ(finished().reserved, 0);
}

TEST(Shard, KeepsTheRoomWhileTheAnswerIsUnknown) {
  Shard looked = apply(intended(), NotFoundInList{Milliseconds{5}});
  EXPECT_EQ(looked.looks, 1);
  EXPECT_TRUE(looked.intent);
  EXPECT_EQ(looked.reserved, 700);
  looked = apply(looked, Delayed{Milliseconds{9}, ""});
  EXPECT_EQ(looked.reserved, 700);
  EXPECT_EQ(looked.failures, 1);
}

TEST(Shard, CountsDenialsInARowApartFromOtherFailures) {
  const Delayed denied{Milliseconds{5}, "", ErrorKind::not_found};
  const Delayed cut{Milliseconds{5}, "", ErrorKind::cut_short};
  const Delayed failed{Milliseconds{5}, ""};
  Shard shard = apply(apply(finished(), denied), denied);
  EXPECT_EQ(shard.denials, 2);
  shard = apply(shard, failed);
  EXPECT_EQ(shard.denials, 0) << "a failure says nothing about what is there";
  EXPECT_EQ(shard.failures, 3);
  EXPECT_EQ(apply(apply(shard, denied), Merged{}).denials, 0);
  shard = apply(apply(apply(shard, denied), cut), cut);
  EXPECT_EQ(shard.denials, 0) << "a file that ends early is there";
  EXPECT_EQ(shard.short_reads, 2);
  EXPECT_EQ(apply(shard, denied).short_reads, 0);
  EXPECT_EQ(apply(shard, Merged{}).short_reads, 0);
}

TEST(Shard, ARefusedPostIsAnotherAttemptWithTheSameFile) {
  const Shard again =
      apply(intended(), NotCreated{ProviderError{ErrorKind::quota, 400, "token_limit_exceeded", "full", {}}, Milliseconds{7}});
  EXPECT_EQ(again.state, ShardState::uploaded);
  EXPECT_EQ(again.attempt, 2);
  EXPECT_EQ(again.reserved, 0);
  EXPECT_FALSE(again.intent);
  EXPECT_EQ(again.input_file, FileId{"file-1"});
  EXPECT_EQ(again.due_in, Milliseconds{7});
}

TEST(Shard, AFenceMeansAnotherFileAndAnotherAttempt) {
  const Shard again = apply(intended(), Fenced{});
  EXPECT_EQ(again.state, ShardState::planned);
  EXPECT_EQ(again.attempt, 2);
  EXPECT_EQ(again.reserved, 0);
  EXPECT_FALSE(again.input_file);
}

TEST(Shard, ALateQuotaRefusalKeepsTheFileAndForgetsTheBatch) {
  const ProviderError full{ErrorKind::quota, 0, "whatever", "no room", {}};
  const Shard again = apply(submitted(), NotRun{Milliseconds{7}, full});
  EXPECT_EQ(again.error, R"({"code":"token_limit_exceeded","message":"no room"})") << "in whatever words";
  EXPECT_EQ(again.state, ShardState::uploaded);
  EXPECT_EQ(again.attempt, 2);
  EXPECT_FALSE(again.batch);
  EXPECT_TRUE(again.input_file);
  EXPECT_EQ(again.reserved, 0);
}

TEST(Shard, ALateQuotaRefusalOfABatchThatWasLookedForMakesTheFileAnew) {
  const Shard found = apply(apply(intended(), NotFoundInList{}), Created{batch(BatchStatus::validating)});
  const Shard again = apply(found, NotRun{Milliseconds{7}});
  EXPECT_EQ(again.state, ShardState::planned) << "a fence may still be on its way";
  EXPECT_EQ(again.attempt, 2);
  EXPECT_FALSE(again.input_file);
}

TEST(Shard, TakesAnEarlierAttemptsBatchOverWithoutGoingBack) {
  const Shard fenced = apply(intended(), Fenced{});
  const Shard taken = apply(fenced, Found{batch(BatchStatus::in_progress), 1, FileId{"file-1"}});
  EXPECT_EQ(taken.state, ShardState::submitted);
  EXPECT_EQ(taken.attempt, 2) << "a later POST must not be announced under a number that was used";
  EXPECT_EQ(taken.batch, BatchId{"batch_1"});
  EXPECT_EQ(taken.input_file, FileId{"file-1"}) << "what is to be deleted in the end is what the batch was made of";
  EXPECT_EQ(taken.reserved, 700);
  EXPECT_EQ(apply(taken, Ended{batch(BatchStatus::completed)}).reserved, 0);
  EXPECT_EQ(apply(uploaded(), Found{batch(BatchStatus::in_progress), 3, FileId{"f"}}).attempt, 3) << "those between were lost";
}

TEST(Shard, FinishesForTheReasonTheBatchEnded) {
  const auto reason = [](Batch b) { return apply(submitted(), Ended{b}).finish_reason; };
  EXPECT_EQ(reason(batch(BatchStatus::completed)), FinishReason::ran);
  EXPECT_EQ(reason(batch(BatchStatus::expired)), FinishReason::expired);
  EXPECT_EQ(reason(batch(BatchStatus::cancelled)), FinishReason::cancelled);
  EXPECT_EQ(reason(batch(BatchStatus::failed)), FinishReason::refused);
  Batch failed_late = batch(BatchStatus::failed);
  failed_late.output_file_id = FileId{"file-out"};
  EXPECT_EQ(reason(failed_late), FinishReason::ran);
  EXPECT_EQ(apply(submitted(), Ended{failed_late}).output_file, FileId{"file-out"});
}

TEST(Shard, GivesUpOnlyBeforeTheIntent) {
  EXPECT_EQ(apply(planned(), GivenUp{}).finish_reason, FinishReason::given_up);
  EXPECT_EQ(apply(uploaded(), GivenUp{}).state, ShardState::finished);
  EXPECT_THROW(apply(intended(), GivenUp{}), std::logic_error);
  EXPECT_THROW(apply(submitted(), GivenUp{}), std::logic_error);
}

TEST(Shard, EveryEventFitsExactlyTheStatesItMay) {
  const ProviderError error;
  const std::vector<std::pair<std::string, ShardEvent>> events{{"uploaded", Uploaded{FileId{"f"}, 1, 1}},
                                                               {"given_up", GivenUp{}},
                                                               {"file_lost", FileLost{}},
                                                               {"intended", Intended{}},
                                                               {"created", Created{batch(BatchStatus::validating)}},
                                                               {"not_created", NotCreated{error, Milliseconds{0}}},
                                                               {"refused", Refused{error}},
                                                               {"not_found", NotFoundInList{}},
                                                               {"fenced", Fenced{}},
                                                               {"ended", Ended{batch(BatchStatus::completed)}},
                                                               {"vanished", Vanished{}},
                                                               {"not_run", NotRun{}},
                                                               {"found", Found{batch(BatchStatus::validating), 1, FileId{"f"}}},
                                                               {"merged", Merged{}},
                                                               {"closed", Closed{}},
                                                               {"delayed", Delayed{}}};
  const std::vector<std::pair<std::string, Shard>> shards{
      {"planned", planned()},   {"uploaded", uploaded()}, {"intended", intended()}, {"submitted", submitted()},
      {"finished", finished()}, {"merged", merged()},     {"closed", closed()}};
  const std::map<std::string, std::string> fitting{{"planned", "uploaded given_up refused found delayed "},
                                                   {"uploaded", "given_up file_lost intended found delayed "},
                                                   {"intended", "created not_created refused not_found fenced delayed "},
                                                   {"submitted", "ended vanished not_run delayed "},
                                                   {"finished", "merged delayed "},
                                                   {"merged", "closed delayed "},
                                                   {"closed", ""}};
  for (const auto& [state, shard] : shards) {
    std::string fits;
    for (const auto& [name, event] : events) {
      try {
        apply(shard, event);
        fits += name + ' ';
      } catch (const std::logic_error&) {
      }
    }
    EXPECT_EQ(fits, fitting.at(state)) << state;
  }
}

TEST(Shard, OnlyASubmittedOrIntendedShardHoldsRoom) {
  for (const Shard& shard : {planned(), uploaded(), finished(), merged(), closed()})
    EXPECT_EQ(shard.reserved, 0) << to_string(shard.state);
}

TEST(Shard, WordsOfStatesAndReasonsRoundTrip) {
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(parse_shard_state(to_string(static_cast<ShardState>(i))), static_cast<ShardState>(i));
    EXPECT_EQ(parse_finish_reason(to_string(static_cast<FinishReason>(i))), static_cast<FinishReason>(i));
  }
  EXPECT_EQ(parse_shard_state("Planned"), std::nullopt);
}

TEST(Blame, NamesTheLinesThatTheProviderNamed) {
  Batch failed = batch(BatchStatus::failed);
  failed.errors = {{"invalid_json_line", "not JSON", 3},
                   {"invalid_request", "bad", 7},
                   {"duplicate_custom_id", "twice", 8},
                   {"other", "?", std::nullopt}};
  const auto blamed = blamed_lines(apply(submitted(), Ended{failed}).error);
  ASSERT_EQ(blamed.size(), 2u);
  EXPECT_EQ(blamed.at(3), R"({"code":"invalid_json_line","message":"not JSON"})");
  EXPECT_TRUE(blamed.contains(7));
}

TEST(Blame, WithoutLinesNobodyIsBlamed) {
  for (const char* error : {"", "{}", "not json", R"({"code":"x","message":"y"})", R"({"lines":5})"})
    EXPECT_TRUE(blamed_lines(error).empty()) << error;
}

TEST(BatchStatusWords, AreReadInEverySpellingSeen) {
  EXPECT_EQ(parse_batch_status("Validating"), BatchStatus::validating);
  EXPECT_EQ(parse_batch_status("InProgress"), BatchStatus::in_progress);
  EXPECT_EQ(parse_batch_status("in progress"), BatchStatus::in_progress);
  EXPECT_EQ(parse_batch_status("canceled"), BatchStatus::cancelled);
  EXPECT_EQ(parse_batch_status("Cancelling"), BatchStatus::cancelling);
  EXPECT_EQ(parse_batch_status("paused"), BatchStatus::unknown);
  EXPECT_FALSE(is_terminal(BatchStatus::unknown));
  for (const char* word : {"completed", "failed", "expired", "cancelled"})
    EXPECT_TRUE(is_terminal(parse_batch_status(word))) << word;
  for (const char* word : {"validating", "in_progress", "finalizing", "cancelling"})
    EXPECT_FALSE(is_terminal(parse_batch_status(word))) << word;
}

}  // namespace
}  // namespace batchd
