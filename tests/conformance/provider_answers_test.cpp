// What a provider makes of a file: from the upload to its answers, and what it says of those it would not answer.
#include "conformance/provider_conformance.hpp"
#include "core/output_line.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

/// A file's lines by their custom_id.
std::map<std::string, LineReading> readings(const std::string& text) {
  std::map<std::string, LineReading> read;
  std::string_view left = text;
  while (!left.empty()) {
    const std::size_t end = left.find('\n');
    LineResult line = read_output_line(left.substr(0, end));
    if (!line.reading) throw std::runtime_error("not an answer: " + std::string(left.substr(0, end)));
    read[to_string(line.reading->id)] = std::move(*line.reading);
    left.remove_prefix(end == std::string_view::npos ? left.size() : end + 1);
  }
  return read;
}

PROVIDER_CONFORMANCE_SUITE(ProviderAnswers);

TEST_P(ProviderAnswers, CarriesARequestThroughToItsAnswer) {
  start();
  const std::string text = line("1-1", "one") + line("2-1", "two");
  const RemoteFile file = must(provider().upload(file_of(text), "batchd-i-7-1.jsonl"));
  EXPECT_EQ(file.filename, "batchd-i-7-1.jsonl");
  EXPECT_EQ(must(provider().retrieve_file(file.id)).status, "processed");
  EXPECT_EQ(must(provider().retrieve_file(file.id)).bytes, static_cast<Bytes>(text.size()));

  const CreatedBatch created = must(provider().create_batch(order(file.id)));
  EXPECT_FALSE(created.batch.id.value.empty());
  const Batch batch = wait_until_over(created.batch.id);
  EXPECT_EQ(batch.id, created.batch.id);
  EXPECT_EQ(batch.status, BatchStatus::completed);
  EXPECT_EQ(batch.input_file_id, file.id);
  EXPECT_TRUE(batch.created_at);
  EXPECT_TRUE(batch.errors.empty());
  EXPECT_THAT(batch.metadata, ElementsAre(Pair("batchd_attempt", "1"), Pair("batchd_instance", "i"), Pair("batchd_shard", "1")));
  ASSERT_TRUE(batch.counts);
  EXPECT_EQ(batch.counts->total, 2);
  EXPECT_EQ(batch.counts->completed, 2);
  EXPECT_EQ(batch.counts->failed, 0);

  ASSERT_TRUE(batch.output_file_id);
  const std::string output = content(*batch.output_file_id);
  EXPECT_EQ(must(provider().retrieve_file(*batch.output_file_id)).bytes, static_cast<Bytes>(output.size()));
  const auto lines = readings(output);
  ASSERT_EQ(lines.size(), 2u);
  for (const auto& [id, prompt] : {std::pair{"1-1", "one"}, std::pair{"2-1", "two"}}) {
    const LineReading& reading = lines.at(id);
    EXPECT_EQ(reading.verdict, Verdict::success);
    EXPECT_TRUE(harness->answers(reading.settlement.response, body(prompt), prompt)) << reading.settlement.response;
    EXPECT_FALSE(harness->answers(reading.settlement.response, body("other"), "other"));
    ASSERT_TRUE(reading.settlement.usage);
    EXPECT_GT(reading.settlement.usage->input, 0);
  }
}

TEST_P(ProviderAnswers, LeavesAnErrorFileOfNoBytesWhereAzureDoes) {
  start();
  const Batch batch = ran(line("1-1"));
  ASSERT_EQ(batch.error_file_id.has_value(), is_azure());
  if (batch.error_file_id) {
    EXPECT_EQ(content(*batch.error_file_id), "");
  }
}

TEST_P(ProviderAnswers, PutsAnswersAndFailuresIntoFilesOfTheirOwn) {
  start();
  const Batch batch = ran(line("1-1") + line("2-1", "bad", Ask::refusal) + line("3-1"));
  EXPECT_EQ(batch.status, BatchStatus::completed);
  ASSERT_TRUE(batch.counts);
  EXPECT_EQ(batch.counts->completed, 2);
  EXPECT_EQ(batch.counts->failed, 1);
  ASSERT_TRUE(batch.output_file_id && batch.error_file_id);
  const auto answers = readings(content(*batch.output_file_id));
  const auto failures = readings(content(*batch.error_file_id));
  EXPECT_EQ(answers.size(), 2u);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures.at("2-1").verdict, Verdict::permanent);
  EXPECT_EQ(failures.at("2-1").settlement.status_code, 400);
}

TEST_P(ProviderAnswers, HasNoOutputFileWhenEveryLineFailed) {
  start();
  const Batch batch = ran(line("1-1", "bad", Ask::refusal) + line("2-1", "worse", Ask::refusal));
  EXPECT_EQ(batch.status, BatchStatus::completed);
  EXPECT_FALSE(batch.output_file_id);
  ASSERT_TRUE(batch.error_file_id);
  EXPECT_EQ(readings(content(*batch.error_file_id)).size(), 2u);
}

TEST_P(ProviderAnswers, KeepsWhatABatchThatExpiredHasAnswered) {
  start();
  std::string text;
  for (int i = 1; i <= 40; ++i) text += line(std::to_string(i) + "-1");
  harness->fate(Fate::expires_halfway);
  const Batch batch = ran(text);
  EXPECT_EQ(batch.status, BatchStatus::expired);
  ASSERT_TRUE(batch.output_file_id);
  const auto answers = readings(content(*batch.output_file_id));
  EXPECT_GT(answers.size(), 0u);
  EXPECT_LT(answers.size(), 40u);
  for (const auto& [id, reading] : answers) EXPECT_EQ(reading.verdict, Verdict::success) << id;
  ASSERT_TRUE(batch.error_file_id);
  for (const auto& [id, reading] : readings(content(*batch.error_file_id))) {
    EXPECT_EQ(reading.settlement.outcome, Outcome::expired) << id;
    EXPECT_FALSE(answers.contains(id));
  }
}

TEST_P(ProviderAnswers, KeepsWhatABatchThatFailedOnTheWayHasAnswered) {
  start();
  std::string text;
  for (int i = 1; i <= 40; ++i) text += line(std::to_string(i) + "-1");
  harness->fate(Fate::fails_late);
  const Batch batch = ran(text);
  EXPECT_EQ(batch.status, BatchStatus::failed);
  ASSERT_TRUE(batch.output_file_id);
  const auto answers = readings(content(*batch.output_file_id));
  EXPECT_GT(answers.size(), 0u);
  EXPECT_LT(answers.size(), 40u);
}

TEST_P(ProviderAnswers, NamesTheLineThatItWillNotTake) {
  start();
  const Batch batch = ran(line("1-1") + line("2-1", "hello", Ask::poison) + line("3-1"));
  EXPECT_EQ(batch.status, BatchStatus::failed);
  EXPECT_FALSE(batch.output_file_id);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].code, "invalid_request");
  EXPECT_EQ(batch.errors[0].line, 2);
}

TEST_P(ProviderAnswers, MayRefuseAFileWithoutNamingALine) {
  start();
  const Batch batch = ran(line("1-1") + line("2-1", "hello", Ask::silent_poison));
  EXPECT_EQ(batch.status, BatchStatus::failed);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_FALSE(batch.errors[0].line);
}

TEST_P(ProviderAnswers, ReportsACustomIdThatStandsTwice) {
  start();
  const Batch batch = ran(line("1-1") + line("2-1") + line("1-1"));
  EXPECT_EQ(batch.status, BatchStatus::failed);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].code, "duplicate_custom_id");
  EXPECT_EQ(batch.errors[0].line, 3);
}

TEST_P(ProviderAnswers, SendsALargeFileWhole) {
  start();
  std::string text;
  for (int i = 1; text.size() < 20'000'000; ++i) text += line(std::to_string(i) + "-1");
  const FileId file = upload(text);
  EXPECT_EQ(must(provider().retrieve_file(file)).bytes, static_cast<Bytes>(text.size()));
  EXPECT_TRUE(content(file) == text);
}

}  // namespace
}  // namespace batchd::conformance
