// What the wire does to a call on its way to the cloud, and back.
#include "simulation/cloud/fake_provider.hpp"
#include "simulation/cloud/bench.hpp"
#include "support/run_task.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace batchd::simulation {
namespace {

class ScriptedWire final : public Wire {
 public:
  Task<Passage> there(std::string_view verb) override {
    verbs.emplace_back(verb);
    co_return next_there;
  }
  Task<Passage> back(std::string_view) override { co_return next_back; }
  void arrives_late(std::string_view, std::function<void()> effect) override { late.push_back(std::move(effect)); }

  Passage next_there = Passage::through;
  Passage next_back = Passage::through;
  std::vector<std::string> verbs;
  std::vector<std::function<void()>> late;
};

class FakeProviderTest : public ::testing::Test {
 protected:
  template <class T>
  ProviderResult<T> run(Task<ProviderResult<T>> task) {
    return testing::run_task(io_, std::move(task));
  }
  std::filesystem::path file() const { return dir_.write("in.jsonl", bench_.lines(3)); }
  Batch over() {
    const BatchId id = bench_.create(3);
    bench_.pass_a_batch();
    return bench_.batch(id);
  }

  asio::io_context io_;
  testing::TempDir dir_;
  Bench bench_;
  ScriptedWire wire_;
  bool may_call_ = true;
  FakeProvider provider_{bench_.cloud, wire_, [this] { return may_call_; }};
};

TEST_F(FakeProviderTest, SendsWhatStandsInTheFile) {
  const auto sent = run(provider_.upload(file(), "batchd-i-1-1.jsonl"));
  ASSERT_TRUE(sent);
  EXPECT_EQ(bench_.content(sent->id), bench_.lines(3));
  EXPECT_EQ(wire_.verbs, std::vector<std::string>{"upload"});
}

TEST_F(FakeProviderTest, SendsNothingWithoutLeave) {
  may_call_ = false;
  const auto sent = run(provider_.upload(file(), "batchd-i-1-1.jsonl"));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::not_sent);
  EXPECT_TRUE(wire_.verbs.empty());
}

TEST_F(FakeProviderTest, HasNotSentWhatWasRefused) {
  wire_.next_there = Passage::refused;
  EXPECT_EQ(Bench::kind(run(provider_.upload(file(), "batchd-i-1-1.jsonl"))), ErrorKind::not_sent);
  EXPECT_EQ(bench_.cloud.files(), 0u);
  EXPECT_TRUE(wire_.late.empty());
}

TEST_F(FakeProviderTest, DoesNotKnowWhatWasLostOnTheWayAndItMayArriveLater) {
  const FileId input = bench_.upload(bench_.lines(3));
  bench_.pass(bench_.cloud.settings().processing.most);
  wire_.next_there = Passage::lost;
  EXPECT_EQ(Bench::kind(run(provider_.create_batch(Bench::order(input)))), ErrorKind::unknown);
  EXPECT_EQ(Bench::kind(run(provider_.upload(file(), "batchd-i-2-1.jsonl"))), ErrorKind::unknown);
  EXPECT_TRUE(bench_.cloud.ledger().batches.empty());
  EXPECT_EQ(bench_.cloud.files(), 1u);
  ASSERT_EQ(wire_.late.size(), 2u);
  bench_.pass(Milliseconds{100'000});
  for (const auto& effect : wire_.late) effect();
  ASSERT_EQ(bench_.cloud.ledger().batches.size(), 1u);
  EXPECT_EQ(bench_.cloud.ledger().batches[0].accepted, bench_.now);
  EXPECT_EQ(bench_.cloud.files(), 2u);
  const auto files = Bench::must(bench_.cloud.list_files(std::nullopt)).files;
  EXPECT_EQ(files.at(0).filename, "batchd-i-2-1.jsonl");
  EXPECT_EQ(bench_.content(files.at(0).id), bench_.lines(3));
}

TEST_F(FakeProviderTest, DoesNotMakeABatchLateOfAFileThatWasDeletedMeanwhile) {
  const FileId input = bench_.upload(bench_.lines(3));
  bench_.pass(bench_.cloud.settings().processing.most);
  wire_.next_there = Passage::lost;
  EXPECT_EQ(Bench::kind(run(provider_.create_batch(Bench::order(input)))), ErrorKind::unknown);
  wire_.next_there = Passage::through;
  EXPECT_TRUE(run(provider_.delete_file(input)));
  wire_.late.at(0)();
  EXPECT_TRUE(bench_.cloud.ledger().batches.empty());
  EXPECT_EQ(bench_.cloud.ledger().posts_refused, 1);
}

TEST_F(FakeProviderTest, HasDoneWhatItsAnswerWasLostOf) {
  wire_.next_back = Passage::lost;
  EXPECT_EQ(Bench::kind(run(provider_.upload(file(), "batchd-i-1-1.jsonl"))), ErrorKind::unknown);
  EXPECT_EQ(bench_.cloud.files(), 1u);
  EXPECT_TRUE(wire_.late.empty());
}

TEST_F(FakeProviderTest, GivesAPartOfADownloadThatBreaks) {
  const Batch batch = over();
  const std::string whole = bench_.output(batch);
  std::string got;
  int pieces = 0;
  const ByteSink sink = [&](std::string_view bytes) -> Task<void> {
    ++pieces;
    got += bytes;
    co_return;
  };
  wire_.next_back = Passage::lost;
  EXPECT_EQ(Bench::kind(run(provider_.download(*batch.output_file_id, sink))), ErrorKind::unknown);
  EXPECT_GT(got.size(), 0u);
  EXPECT_LT(got.size(), whole.size());
  EXPECT_EQ(got, whole.substr(0, got.size()));
  EXPECT_GT(pieces, 1);
}

TEST_F(FakeProviderTest, ReadsOnWhatIsDeletedInTheMiddleOfADownload) {
  const Batch batch = over();
  const std::string whole = bench_.output(batch);
  std::string got;
  const ByteSink sink = [&](std::string_view bytes) -> Task<void> {
    bench_.cloud.delete_file(*batch.output_file_id);
    got += bytes;
    co_return;
  };
  EXPECT_TRUE(run(provider_.download(*batch.output_file_id, sink)));
  EXPECT_EQ(got, whole);
}

TEST_F(FakeProviderTest, NamesTheVerbsAsTheMetricsDo) {
  const Batch batch = over();
  const ByteSink sink = [](std::string_view) -> Task<void> { co_return; };
  run(provider_.create_batch(Bench::order(*batch.input_file_id)));
  run(provider_.retrieve_batch(batch.id));
  run(provider_.list_batches(std::nullopt));
  run(provider_.cancel_batch(batch.id));
  run(provider_.retrieve_file(*batch.input_file_id));
  run(provider_.download(*batch.input_file_id, sink));
  run(provider_.delete_file(*batch.input_file_id));
  run(provider_.list_files(std::nullopt));
  EXPECT_EQ(wire_.verbs, (std::vector<std::string>{"create_batch", "retrieve_batch", "list_batches", "cancel_batch",
                                                   "retrieve_file", "download", "delete_file", "list_files"}));
}

}  // namespace
}  // namespace batchd::simulation
