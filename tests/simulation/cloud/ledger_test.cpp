// The cloud's judgement of its callers, and that it is honest when nothing is to go wrong.
#include "core/orphan.hpp"
#include "core/output_line.hpp"
#include "core/recognition.hpp"
#include "core/request_line.hpp"
#include "core/tokens.hpp"
#include "simulation/cloud/bench.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

namespace batchd::simulation {
namespace {

using namespace std::chrono_literals;

std::vector<LineReading> answers_in(const std::string& text) {
  std::vector<LineReading> all;
  for (std::string_view left = text; !left.empty(); left.remove_prefix(left.find('\n') + 1)) {
    LineResult line = read_output_line(left.substr(0, left.find('\n')));
    if (line.reading) all.push_back(std::move(*line.reading));
  }
  return all;
}

TEST(CloudLedger, KnowsEveryRunItsPromptAndThatItIsPaid) {
  Bench bench;
  const Batch batch = bench.ran(10);
  const Ledger& ledger = bench.cloud.ledger();
  ASSERT_EQ(ledger.runs.size(), 10u);
  EXPECT_EQ(ledger.billed(), 10);
  std::set<RequestId> ran;
  for (const LineRun& run : ledger.runs) {
    EXPECT_TRUE(ran.insert(run.id.request).second);
    EXPECT_EQ(run.id.attempt, 1);
    EXPECT_EQ(run.prompt, prompt_hash(Bench::body("prompt " + std::to_string(run.id.request.value))));
    EXPECT_TRUE(bench.cloud.readable(run));
  }
  const BatchEntry& entry = ledger.batches.at(0);
  EXPECT_EQ(entry.instance, "i");
  EXPECT_EQ(entry.shard, ShardId{1});
  EXPECT_EQ(entry.attempt, 1);
  EXPECT_EQ(entry.lines, 10);
  EXPECT_EQ(entry.ran, 10u);
  EXPECT_EQ(entry.end, BatchStatus::completed);
  EXPECT_EQ(entry.deployment, "dep");
  EXPECT_EQ(entry.input, batch.input_file_id);
  EXPECT_LT(entry.accepted, entry.over);
}

TEST(CloudLedger, TellsAnAnswerThatWasGivenToAnotherPrompt) {
  Bench bench;
  const Batch batch = bench.ran(10);
  for (const LineReading& answer : answers_in(bench.output(batch))) {
    const auto mark = mark_of(answer.settlement.response);
    ASSERT_TRUE(mark);
    EXPECT_EQ(bench.cloud.ledger().runs.at(mark->run).id, answer.id);
    const std::int64_t own = answer.id.request.value;
    EXPECT_EQ(mark->prompt, prompt_hash(Bench::body("prompt " + std::to_string(own))));
    EXPECT_NE(mark->prompt, prompt_hash(Bench::body("prompt " + std::to_string(own + 1))));
  }
  EXPECT_FALSE(mark_of(R"({"id":"chatcmpl-1","choices":[]})"));
}

TEST(CloudLedger, GivesLinesForSomebodyElseAnAnswerToAnotherPrompt) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.faults[CloudFault::line_foreign] = 1;
  Bench bench(settings);
  const Batch batch = bench.ran(10);
  int others = 0;
  for (const LineReading& answer : answers_in(bench.output(batch))) {
    const auto mark = mark_of(answer.settlement.response);
    ASSERT_TRUE(mark);
    const bool own = answer.id.attempt == 1 && answer.id.request.value <= 10;
    others += !own;
    EXPECT_EQ(mark->prompt == prompt_hash(Bench::body("prompt " + std::to_string(answer.id.request.value))), own);
  }
  EXPECT_GT(others, 0);
}

/// What producers write and what stands in a line must look the same to the cloud, or the oracle would compare wrongly.
TEST(CloudLedger, SeesThroughWhatTheDaemonDoesToABody) {
  const std::string bodies[] = {
      R"({"messages":[{"role":"user","content":"hello"}]})",
      R"({"messages":[{"role":"user","content":"hello"}],"model":"gpt-4o"})",
      R"({"model":"gpt-4o","messages":[],"temperature":0})",
      "{\"a\":1,\"model\":\"gpt-4o\",\n \"b\":[1,\r\n2]}",
      "{}",
  };
  for (const std::string& body : bodies) {
    std::string text;
    ASSERT_FALSE(append_request_line(text, {RequestId{7}, 2}, {"/chat/completions", "a-long-deployment", 100'000}, body));
    const Input input = read_input(text);
    ASSERT_EQ(input.lines.size(), 1u);
    EXPECT_TRUE(input.errors.empty());
    EXPECT_EQ(input.lines[0].id, (CustomId{RequestId{7}, 2}));
    EXPECT_EQ(input.lines[0].prompt, prompt_hash(body)) << body;
    EXPECT_LE(input.lines[0].tokens, estimate_tokens(body)) << body;
    if (body.find("model") == std::string::npos) {
      EXPECT_EQ(input.lines[0].tokens, estimate_tokens(body)) << body;
    }
    EXPECT_EQ(input.deployment, "a-long-deployment");
    EXPECT_EQ(input.url, "/chat/completions");
  }
}

TEST(CloudLedger, CountsEveryAcceptedPostOfAShardsAttempt) {
  Bench bench;
  const FileId file = bench.upload(bench.lines(2));
  bench.create(file, 1);
  bench.create(file, 1);
  bench.create(file, 2);
  EXPECT_TRUE(Bench::kind(bench.cloud.create_batch(Bench::order(FileId{"file-99"}, 3))));
  const std::map<PostKey, int> expected{{{"i", ShardId{1}, 1}, 2}, {{"i", ShardId{2}, 1}, 1}};
  EXPECT_EQ(bench.cloud.ledger().posts, expected);
  EXPECT_EQ(bench.cloud.ledger().posts_refused, 1);
}

TEST(CloudLedger, NotesWhatIsDoneToThingsOfOthers) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.instance = "i";
  settings.foreign_batches = 1;
  Bench bench(settings);
  const Batch foreign = Bench::must(bench.cloud.list_batches(std::nullopt)).batches.at(0);
  bench.cloud.retrieve_batch(foreign.id);
  EXPECT_TRUE(bench.cloud.ledger().violations.empty()) << "looking is allowed";
  bench.cloud.create_batch(Bench::order(*foreign.input_file_id));
  bench.cloud.download(*foreign.input_file_id);
  bench.cloud.cancel_batch(foreign.id);
  bench.cloud.delete_file(*foreign.input_file_id);
  std::vector<Trespass> noted;
  for (const Violation& violation : bench.cloud.ledger().violations) noted.push_back(violation.what);
  EXPECT_EQ(noted, (std::vector{Trespass::foreign_used, Trespass::foreign_downloaded, Trespass::foreign_cancelled,
                                Trespass::foreign_deleted}));
}

TEST(CloudLedger, DoesNotBlameForWhatIsOurs) {
  Bench bench;
  const BatchId id = bench.create();
  bench.cloud.cancel_batch(id);
  bench.pass(bench.cloud.settings().cancelling.most);
  const Batch batch = bench.batch(id);
  bench.cloud.delete_file(*batch.input_file_id);
  bench.cloud.delete_file(*batch.input_file_id);
  EXPECT_TRUE(bench.cloud.ledger().violations.empty());
}

TEST(CloudLedger, NotesAFileThatNoProviderTakes) {
  Bench bench;
  bench.upload(bench.line(1, "a") + bench.line(1, "b"));
  bench.upload("{\"custom_id\":\"1-1\"}\n");
  bench.upload(bench.line(1, "cloud:poison is the row's own fault"));
  ASSERT_EQ(bench.cloud.ledger().violations.size(), 1u);
  EXPECT_EQ(bench.cloud.ledger().violations[0].what, Trespass::bad_file);
}

// Quota -------------------------------------------------------------------------------------------------------------------

TEST(CloudLedger, CountsWhatIsEnqueuedUntilItIsOver) {
  CloudSettings settings = CloudSettings::azure_like();
  Bench probe(settings);
  probe.create(10);
  const Tokens file_tokens = probe.cloud.ledger().deployments.at("dep").now;
  ASSERT_GT(file_tokens, 0);

  settings.deployments["dep"] = file_tokens * 2;
  Bench bench(settings);
  const FileId file = bench.upload(bench.lines(10));
  const BatchId first = bench.create(file, 1);
  bench.create(file, 2);
  const Enqueued& enqueued = bench.cloud.ledger().deployments.at("dep");
  EXPECT_EQ(enqueued.limit, file_tokens * 2);
  EXPECT_EQ(enqueued.now, file_tokens * 2);
  EXPECT_EQ(enqueued.overruns, 0);
  EXPECT_EQ(Bench::kind(bench.cloud.create_batch(Bench::order(file, 3))), ErrorKind::quota);
  EXPECT_EQ(enqueued.overruns, 1) << "it was sent although it did not fit";
  bench.cloud.cancel_batch(first);
  bench.pass(bench.cloud.settings().cancelling.most);
  EXPECT_TRUE(bench.cloud.create_batch(Bench::order(file, 3)));
  bench.pass(24h);
  EXPECT_EQ(bench.cloud.ledger().deployments.at("dep").now, 0);
  EXPECT_EQ(bench.cloud.ledger().deployments.at("dep").highest, file_tokens * 2);
}

TEST(CloudLedger, MayGiveRoomBackLateAndOthersMayHoldSomeOfIt) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.deployments["dep"] = 1'000'000;
  settings.foreign_tokens = 999'900;
  settings.release_lag = {10min, 10min};
  settings.processing = {};
  Bench bench(settings);
  EXPECT_EQ(Bench::kind(bench.cloud.create_batch(Bench::order(bench.upload(bench.lines(10))))), ErrorKind::quota);
  const FileId file = bench.upload(bench.lines(2));
  const BatchId id = bench.create(file);
  bench.cloud.cancel_batch(id);
  bench.pass(bench.cloud.settings().cancelling.most);
  EXPECT_EQ(bench.batch(id).status, BatchStatus::cancelled);
  EXPECT_EQ(bench.cloud.ledger().deployments.at("dep").now, 0);
  EXPECT_EQ(Bench::kind(bench.cloud.create_batch(Bench::order(file))), ErrorKind::quota);
  EXPECT_EQ(bench.cloud.ledger().deployments.at("dep").overruns, 0) << "that is not the caller's fault";
  bench.pass(10min);
  EXPECT_TRUE(bench.cloud.create_batch(Bench::order(file)));
}

TEST(CloudLedger, FailsWhatDoesNotFitMinutesLaterWhereTheQuotaIsCheckedLate) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.deployments["dep"] = 1;
  settings.late_quota = 1;
  Bench bench(settings);
  const BatchId id = bench.create();
  EXPECT_EQ(bench.batch(id).status, BatchStatus::validating);
  bench.pass(bench.cloud.settings().validating.most);
  const Batch batch = bench.batch(id);
  EXPECT_EQ(batch.status, BatchStatus::failed);
  EXPECT_EQ(batch.errors.at(0).code, "token_limit_exceeded");
  EXPECT_EQ(bench.cloud.ledger().deployments.at("dep").overruns, 1);
  EXPECT_TRUE(bench.cloud.ledger().runs.empty());
}

// Files and batches -------------------------------------------------------------------------------------------------------

TEST(Cloud, MakesNoBatchOfAFileThatIsGoneHoweverLateTheCallArrives) {
  Bench bench;
  const FileId file = bench.upload(bench.lines(2));
  EXPECT_TRUE(bench.cloud.delete_file(file));
  bench.pass(1h);
  EXPECT_EQ(Bench::kind(bench.cloud.create_batch(Bench::order(file))), ErrorKind::not_ready);
  EXPECT_TRUE(bench.cloud.ledger().batches.empty());
}

TEST(Cloud, LetsABatchRunOnWhoseInputIsDeleted) {
  Bench bench;
  const FileId file = bench.upload(bench.lines(2));
  const BatchId id = bench.create(file);
  EXPECT_TRUE(bench.cloud.delete_file(file));
  bench.pass_a_batch();
  EXPECT_EQ(bench.batch(id).status, BatchStatus::completed);
}

TEST(Cloud, RunsWhatACancelCameTooLateForAndBillsIt) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.validating = {1s, 1s};
  settings.running = {1000s, 1000s};
  Bench bench(settings);
  const BatchId id = bench.create(200);
  bench.pass(501s);
  EXPECT_EQ(Bench::must(bench.cloud.cancel_batch(id)).status, BatchStatus::cancelling);
  EXPECT_EQ(Bench::must(bench.cloud.cancel_batch(id)).status, BatchStatus::cancelling) << "twice is no conflict";
  bench.pass(bench.cloud.settings().cancelling.most);
  const Batch batch = bench.batch(id);
  EXPECT_EQ(batch.status, BatchStatus::cancelled);
  EXPECT_NEAR(static_cast<double>(bench.cloud.ledger().billed()), 100, 30);
  EXPECT_EQ(answers_in(bench.output(batch)).size(), static_cast<std::size_t>(bench.cloud.ledger().billed()));
  EXPECT_EQ(Bench::kind(bench.cloud.cancel_batch(id)), ErrorKind::conflict);
}

TEST(Cloud, RunsNothingOfABatchThatIsCancelledWhileItValidates) {
  Bench bench;
  const BatchId id = bench.create();
  bench.cloud.cancel_by_hand(id);
  bench.pass(24h);
  EXPECT_EQ(bench.batch(id).status, BatchStatus::cancelled);
  EXPECT_FALSE(bench.batch(id).output_file_id);
  EXPECT_TRUE(bench.cloud.ledger().runs.empty());
}

TEST(Cloud, KnowsWhichAnswersCanStillBeRead) {
  Bench bench;
  const BatchId first = bench.create();
  const BatchId second = bench.create();
  bench.pass_a_batch();
  const auto& runs = bench.cloud.ledger().runs;
  ASSERT_EQ(runs.size(), 20u);
  EXPECT_EQ(bench.cloud.ledger().batches[0].lost_from, never);
  bench.cloud.delete_by_hand(bench.batch(first).output_file_id.value());
  bench.cloud.vanish(second);
  for (const LineRun& run : runs) EXPECT_FALSE(bench.cloud.readable(run));
  for (const BatchEntry& batch : bench.cloud.ledger().batches) EXPECT_EQ(batch.lost_from, bench.now);
}

TEST(Cloud, DoesNotCallAnswersLostThatTheirOwnerHasDeleted) {
  Bench bench;
  const Batch batch = bench.ran();
  bench.cloud.delete_file(batch.output_file_id.value());
  EXPECT_FALSE(bench.cloud.readable(bench.cloud.ledger().runs.at(0)));
  EXPECT_EQ(bench.cloud.ledger().batches[0].lost_from, never);
}

TEST(Cloud, TellsFromWhenOnAnswersAreLost) {
  for (const CloudFault fault : {CloudFault::vanishes, CloudFault::no_output, CloudFault::output_taken}) {
    CloudSettings settings = CloudSettings::azure_like();
    settings.faults[fault] = 1;
    Bench bench(settings);
    bench.create();
    bench.pass(24h);
    const BatchEntry& entry = bench.cloud.ledger().batches.at(0);
    EXPECT_GE(entry.lost_from, entry.accepted) << to_string(fault);
    EXPECT_LT(entry.lost_from, bench.now) << to_string(fault);
  }
}

TEST(Cloud, TellsFromWhenOnNothingSaysWhoseABatchIs) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.faults[CloudFault::no_metadata] = 1;
  Bench bench(settings);
  const FileId input = bench.upload(bench.lines(10));
  bench.create(input);
  bench.pass(1h);
  const BatchEntry& entry = bench.cloud.ledger().batches.at(0);
  EXPECT_FALSE(entry.traceless_from) << "its input file has a name";
  bench.cloud.delete_by_hand(input);
  EXPECT_EQ(entry.traceless_from, bench.now);
}

TEST(Cloud, GivesOutIdsThatNoOtherAccountHas) {
  Bench one(CloudSettings::azure_like(), 1), other(CloudSettings::azure_like(), 2);
  EXPECT_NE(one.create(), other.create());
  EXPECT_NE(one.upload(one.lines(1)), other.upload(other.lines(1)));
}

TEST(Cloud, ShowsALateBatchToSomeReadersBeforeOthers) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.list_lag = {10s, 10s};
  settings.list_flicker = {1h, 1h};
  Bench bench(settings);
  bench.create();
  int shown = 0;
  const auto looks = [&] { return static_cast<int>(Bench::must(bench.cloud.list_batches(std::nullopt)).batches.size()); };
  EXPECT_EQ(looks(), 0);
  bench.pass(10s);
  for (int i = 0; i < 100; ++i) shown += looks();
  EXPECT_GT(shown, 20);
  EXPECT_LT(shown, 80);
  bench.pass(1h);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(looks(), 1);
}

TEST(Cloud, HoldsFilesUpToItsCeilingResultsIncluded) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.limits.max_files = 3;
  Bench bench(settings);
  const Batch batch = bench.ran(2);
  EXPECT_EQ(bench.cloud.files(), 3u) << "input, output, and an error file of no bytes";
  EXPECT_EQ(Bench::kind(bench.cloud.upload(bench.lines(1), "a.jsonl")), ErrorKind::file_slots);
  bench.cloud.delete_file(*batch.input_file_id);
  EXPECT_TRUE(bench.cloud.upload(bench.lines(1), "a.jsonl"));
}

TEST(Cloud, NamesWhatBelongsToOthersAlmostLikeOursAndNeverLikeIt) {
  CloudSettings settings = CloudSettings::azure_like();
  settings.instance = "i";
  settings.foreign_batches = 9;
  settings.foreign_files = 4;
  settings.page_size = 100;
  Bench bench(settings);
  int named = 0;
  for (const Batch& batch : Bench::must(bench.cloud.list_batches(std::nullopt)).batches) {
    const auto claim = claim_of(batch, "i");
    EXPECT_FALSE(claim && claim->shard) << batch.id;
    named += !batch.metadata.empty();
  }
  EXPECT_GT(named, 3);
  const auto files = Bench::must(bench.cloud.list_files(std::nullopt)).files;
  EXPECT_EQ(files.size(), 13u);
  FileBooks books;
  books.trusted = true;
  for (const RemoteFile& file : files) EXPECT_EQ(judge_file(file, "i", books, false), FileVerdict::keep) << file.filename;
  EXPECT_EQ(bench.cloud.files(), 0u);
}

// Whole stories -----------------------------------------------------------------------------------------------------------

CloudSettings stormy() {
  CloudSettings settings = CloudSettings::azure_like();
  for (std::size_t i = 0; i < cloud_faults; ++i) settings.faults[static_cast<CloudFault>(i)] = 0.15;
  settings.list_flicker = {0ms, 60s};
  return settings;
}

/// Some calls in a storm; then, told in one text, what came of them.
std::string story(std::uint64_t seed, bool calm) {
  Bench bench(stormy(), seed);
  std::string told;
  for (int i = 0; i < 60; ++i) {
    bench.pass(20s);
    const auto file = bench.cloud.upload(bench.lines(5), "batchd-i-1-1.jsonl");
    if (file) bench.cloud.create_batch(Bench::order(file->id, i + 1));
    const auto page = bench.cloud.list_batches(std::nullopt);
    if (page && !page->batches.empty() && i % 4 == 0) bench.cloud.cancel_batch(page->batches.back().id);
    told += page ? std::to_string(page->batches.size()) + ' ' : std::string(to_string(page.error().kind)) + ' ';
  }
  if (calm) {
    bench.cloud.calm();
    bench.pass_a_batch();
    bench.pass(bench.cloud.settings().cancelling.most);
    EXPECT_TRUE(bench.cloud.list_batches(std::nullopt)) << "seed " << seed;
    EXPECT_EQ(bench.cloud.living(), 0u) << "seed " << seed;
    EXPECT_FALSE(bench.create(1).value.empty());
  }
  for (const LineRun& run : bench.cloud.ledger().runs) told += to_string(run.id) + '=' + std::to_string(run.status) + ' ';
  return told;
}

TEST(Cloud, TellsTheSameStoryFromTheSameSeed) {
  EXPECT_EQ(story(7, false), story(7, false));
  EXPECT_NE(story(7, false), story(8, false));
}

TEST(Cloud, EndsEverythingThatLastsWhenItIsToBeCalm) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) story(seed, true);
}

}  // namespace
}  // namespace batchd::simulation
