// Calls in trouble, every verb in every kind of it: what is told of them, and whether they have happened. Bodies that end early.
#include "conformance/provider_conformance.hpp"

#include <algorithm>

namespace batchd::conformance {
namespace {

/// What the verbs are tried on, and what there is afterwards.
class EveryVerb : public ProviderConformance {
 protected:
  void prepare() {
    AccountRules rules;
    rules.slow_batches = true;
    start(rules);
    file_ = uploaded();
    batch_ = create(file_);
  }
  /// The error of a call in trouble; nothing when it succeeded all the same.
  std::optional<ProviderError> call(Verb verb) {
    switch (verb) {
      case Verb::upload:
        return error_of(run(provider().upload(file_of(line("1-1")), "batchd-i-9-1.jsonl")));
      case Verb::create_batch:
        return error_of(run(provider().create_batch(order(file_))));
      case Verb::retrieve_batch:
        return error_of(run(provider().retrieve_batch(batch_)));
      case Verb::list_batches:
        return error_of(run(provider().list_batches(std::nullopt)));
      case Verb::cancel_batch:
        return error_of(run(provider().cancel_batch(batch_)));
      case Verb::retrieve_file:
        return error_of(run(provider().retrieve_file(file_)));
      case Verb::download:
        return error_of(run(provider().download(file_, into(read_))));
      case Verb::delete_file:
        return error_of(run(provider().delete_file(file_)));
      case Verb::list_files:
        return error_of(run(provider().list_files(std::nullopt)));
    }
    return std::nullopt;
  }
  template <class T>
  static std::optional<ProviderError> error_of(const ProviderResult<T>& result) {
    return result ? std::nullopt : std::optional(result.error());
  }
  /// Whether the verb's effect is there; reads have none.
  bool happened(Verb verb) {
    switch (verb) {
      case Verb::upload:
        return all_files().size() > 1;
      case Verb::create_batch:
        return all_batches().size() > 1;
      case Verb::cancel_batch: {
        const BatchStatus status = must(provider().retrieve_batch(batch_)).status;
        return status == BatchStatus::cancelling || status == BatchStatus::cancelled;
      }
      case Verb::delete_file: {
        const auto found = run(provider().retrieve_file(file_));
        return !found && found.error().kind == ErrorKind::not_found;
      }
      default:
        return false;
    }
  }
  static bool has_effect(Verb verb) {
    return verb == Verb::upload || verb == Verb::create_batch || verb == Verb::cancel_batch || verb == Verb::delete_file;
  }
  static bool is_post(Verb verb) { return has_effect(verb) && verb != Verb::delete_file; }

  FileId file_;
  BatchId batch_;
  std::string read_;
};

INSTANTIATE_TEST_SUITE_P(Adapters, EveryVerb, ::testing::ValuesIn(provider_cases()),
                         [](const auto& which) { return which.param.label; });

TEST_P(EveryVerb, MayBeThrottledWithATimeToWait) {
  prepare();
  for (const Verb verb : all_verbs) {
    harness->trouble(verb, Trouble::throttled);
    const auto error = call(verb);
    ASSERT_TRUE(error) << verb;
    EXPECT_EQ(error->kind, ErrorKind::throttled) << verb << ": " << describe(*error);
    EXPECT_EQ(error->status, 429) << verb;
    EXPECT_EQ(error->retry_after, 7s) << verb;
    EXPECT_FALSE(happened(verb)) << verb;
  }
}

TEST_P(EveryVerb, MayBeRefusedToTheAccount) {
  prepare();
  for (const Verb verb : all_verbs) {
    harness->trouble(verb, Trouble::unpaid);
    const auto error = call(verb);
    ASSERT_TRUE(error) << verb;
    EXPECT_EQ(error->kind, ErrorKind::account) << verb << ": " << describe(*error);
    EXPECT_FALSE(happened(verb)) << verb;
  }
}

TEST_P(EveryVerb, ThatNamesAnObjectMayBeToldThatThereIsNone) {
  prepare();
  for (const Verb verb : {Verb::retrieve_batch, Verb::cancel_batch, Verb::retrieve_file, Verb::download}) {
    harness->trouble(verb, Trouble::denied);
    const auto error = call(verb);
    ASSERT_TRUE(error) << verb;
    EXPECT_EQ(error->kind, ErrorKind::not_found) << verb << ": " << describe(*error);
    EXPECT_FALSE(happened(verb)) << verb;
  }
  EXPECT_EQ(read_, "");
}

TEST_P(EveryVerb, IsUnknownWhenNoAnswerCameAndDoneOrNotDone) {
  for (const Trouble trouble : {Trouble::lost_before, Trouble::lost_after, Trouble::busy_before, Trouble::busy_after}) {
    harness = GetParam().make();
    prepare();
    const bool done = trouble == Trouble::lost_after || trouble == Trouble::busy_after;
    for (const Verb verb : all_verbs) {
      harness->trouble(verb, trouble);
      const auto error = call(verb);
      // What may be done twice is sent again when a kept connection turns out to be broken.
      const bool may_recover = trouble == Trouble::lost_before || trouble == Trouble::lost_after;
      if (!error && may_recover && !is_post(verb)) continue;
      ASSERT_TRUE(error) << verb << ' ' << trouble;
      EXPECT_EQ(error->kind, ErrorKind::unknown) << verb << ' ' << trouble << ": " << describe(*error);
      EXPECT_EQ(happened(verb), done && has_effect(verb)) << verb << ' ' << trouble;
    }
  }
}

TEST_P(EveryVerb, IsNotSentWithoutLeave) {
  prepare();
  for (const Verb verb : all_verbs) {
    harness->allow_calls(false);
    const auto error = call(verb);
    harness->allow_calls(true);
    ASSERT_TRUE(error) << verb;
    EXPECT_EQ(error->kind, ErrorKind::not_sent) << verb << ": " << describe(*error);
    EXPECT_EQ(error->code, "lease_expired");
    EXPECT_FALSE(happened(verb)) << verb;
  }
}

TEST_P(EveryVerb, IsNotSentWhenNobodyListens) {
  prepare();
  harness->stop_listening();
  for (const Verb verb : all_verbs) {
    const auto error = call(verb);
    ASSERT_TRUE(error) << verb;
    EXPECT_EQ(error->kind, ErrorKind::not_sent) << verb << ": " << describe(*error);
    EXPECT_EQ(error->status, 0) << verb;
  }
}

// Bodies that end early ---------------------------------------------------------------------------------------------------

PROVIDER_CONFORMANCE_SUITE(ProviderDownloads);

TEST_P(ProviderDownloads, AreUnknownWhenTheyWereCut) {
  start();
  const Batch batch = wait_until_over(create(uploaded(200)));
  const std::string whole = content(*batch.output_file_id);
  harness->trouble(Verb::download, Trouble::cut);
  std::string part;
  EXPECT_EQ(kind_of(provider().download(*batch.output_file_id, into(part))), ErrorKind::unknown) << describe(last_error);
  EXPECT_EQ(part, whole.substr(0, part.size())) << "what came is the beginning of it";
  EXPECT_EQ(content(*batch.output_file_id), whole);
}

TEST_P(ProviderDownloads, AreTakenForWholeWhenTheProviderSaysSoAndTheFilesSizeTellsOtherwise) {
  start();
  const Batch batch = wait_until_over(create(uploaded(200)));
  const std::string whole = content(*batch.output_file_id);
  harness->trouble(Verb::download, Trouble::shortened);
  const std::string part = content(*batch.output_file_id);
  EXPECT_LT(part.size(), whole.size());
  EXPECT_NE(part.back(), '\n');
  EXPECT_EQ(must(provider().retrieve_file(*batch.output_file_id)).bytes, static_cast<Bytes>(whole.size()));
}

TEST_P(ProviderDownloads, ComeInPiecesThatAddUp) {
  start();
  const Batch batch = wait_until_over(create(uploaded(2000)));
  int pieces = 0;
  std::string text;
  const ByteSink sink = [&](std::string_view bytes) -> Task<void> {
    ++pieces;
    text += bytes;
    co_return;
  };
  const Bytes size = must(provider().download(*batch.output_file_id, sink));
  EXPECT_GT(pieces, 1);
  EXPECT_EQ(size, static_cast<Bytes>(text.size()));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2000);
}

TEST_P(ProviderDownloads, EndWhenTheSinkThrows) {
  start();
  const Batch batch = wait_until_over(create(uploaded()));
  const ByteSink sink = [](std::string_view) -> Task<void> {
    throw std::runtime_error("no more");
    co_return;
  };
  EXPECT_THROW(run(provider().download(*batch.output_file_id, sink)), std::runtime_error);
  EXPECT_FALSE(content(*batch.output_file_id).empty());
}

}  // namespace
}  // namespace batchd::conformance
