// Every verb of the provider port and every kind of failure, in each dialect, against batchd-sim.
#include "provider/openai_api.hpp"
#include "support/fixed_credential.hpp"
#include "support/run_task.hpp"
#include "support/sim_process.hpp"
#include "support/temp_dir.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

struct DialectCase {
  const char* label;
  const char* kind;
  const char* api_version;
};

void PrintTo(const DialectCase& c, std::ostream* out) {
  *out << c.label;
}

const DialectCase dialect_cases[] = {
    {"azure", "azure", "2024-10-21"},
    {"azure_preview", "azure", "2025-04-01-preview"},
    {"azure_v1", "azure-v1", ""},
    {"openai", "openai", ""},
};

std::string describe(const ProviderError& error) {
  return std::string(to_string(error.kind)) + " " + std::to_string(error.status) + " " + error.code + " " + error.message;
}

class ProviderConformance : public ::testing::TestWithParam<DialectCase> {
 protected:
  void start(std::vector<std::string> options = {"--fast"}) {
    sim_.emplace(std::move(options));
    ProviderSettings settings;
    settings.name = "p";
    settings.kind = GetParam().kind;
    settings.api_version = GetParam().api_version;
    settings.endpoint = sim_->url();
    settings.credential = &credential_;
    settings.http.idle_timeout = idle_timeout_;
    provider_.emplace(std::move(settings), metrics_, log_);
  }
  bool is_azure() const { return provider_->dialect().file_must_be_processed; }

  template <class T>
  ProviderResult<T> run(Task<ProviderResult<T>> task) {
    return run_task(io_, std::move(task));
  }
  template <class T>
  T must(Task<ProviderResult<T>> task) {
    auto result = run(std::move(task));
    if (!result) throw std::runtime_error(describe(result.error()));
    return std::move(*result);
  }
  template <class T>
  ErrorKind kind_of(Task<ProviderResult<T>> task) {
    const auto result = run(std::move(task));
    if (result) throw std::runtime_error("succeeded");
    last_error_ = result.error();
    return last_error_.kind;
  }

  void fault(const std::string& json) {
    HttpClient client(*parse_endpoint(sim_->url()), {});
    HttpRequest request;
    request.method = "POST";
    request.target = "/sim/faults";
    request.body = json;
    const HttpResult result = run_task(io_, client.send(request));
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_EQ(result->status, 200) << result->body;
  }

  std::string line(const std::string& custom_id) const {
    return R"({"custom_id":")" + custom_id + R"(","method":"POST","url":")" +
           line_url(provider_->dialect(), "/v1/chat/completions") +
           R"(","body":{"model":"m","messages":[{"role":"user","content":"hello"}]}})" + "\n";
  }
  FileId uploaded(int lines = 3) {
    std::string text;
    for (int i = 0; i < lines; ++i) text += line(std::to_string(i) + "-0");
    return must(provider_->upload(dir_.write("in.jsonl", text), "batchd-i-1-0.jsonl")).id;
  }
  NewBatch new_batch(FileId file) const {
    NewBatch batch;
    batch.input_file_id = std::move(file);
    batch.endpoint = "/v1/chat/completions";
    batch.metadata = {{"batchd_instance", "i"}, {"batchd_shard", "1"}};
    return batch;
  }
  Batch wait_until_over(const BatchId& id) {
    for (const auto deadline = std::chrono::steady_clock::now() + 20s;;) {
      Batch batch = must(provider_->retrieve_batch(id));
      if (is_terminal(batch.status)) return batch;
      if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the batch never ends");
      std::this_thread::sleep_for(5ms);
    }
  }
  std::vector<Batch> all_batches() {
    std::vector<Batch> all;
    std::optional<std::string> after;
    do {
      BatchPage page = must(provider_->list_batches(after));
      std::move(page.batches.begin(), page.batches.end(), std::back_inserter(all));
      after = page.next;
    } while (after);
    return all;
  }
  ByteSink into(std::string& text) {
    return [&text](std::string_view bytes) -> Task<void> {
      text += bytes;
      co_return;
    };
  }

  asio::io_context io_;
  TempDir dir_;
  Metrics metrics_{"test"};
  Log log_{LogLevel::error, LogFormat::json};
  FixedCredential credential_{"test-key"};
  std::chrono::milliseconds idle_timeout_{10'000};
  std::optional<SimProcess> sim_;
  std::optional<HttpProvider> provider_;
  ProviderError last_error_;
};

INSTANTIATE_TEST_SUITE_P(Dialects, ProviderConformance, ::testing::ValuesIn(dialect_cases),
                         [](const auto& c) { return std::string(c.param.label); });

TEST_P(ProviderConformance, CarriesARequestThroughToItsAnswer) {
  start();
  const std::string text = line("1-0") + line("2-0");
  const RemoteFile file = must(provider_->upload(dir_.write("in.jsonl", text), "batchd-i-7-0.jsonl"));
  EXPECT_EQ(file.filename, "batchd-i-7-0.jsonl");
  EXPECT_EQ(must(provider_->retrieve_file(file.id)).status, "processed");
  EXPECT_EQ(must(provider_->retrieve_file(file.id)).bytes, static_cast<Bytes>(text.size()));

  const CreatedBatch created = must(provider_->create_batch(new_batch(file.id)));
  EXPECT_FALSE(created.batch.id.value.empty());
  const Batch batch = wait_until_over(created.batch.id);
  EXPECT_EQ(batch.status, BatchStatus::completed);
  EXPECT_EQ(batch.input_file_id, file.id);
  EXPECT_THAT(batch.metadata, ElementsAre(Pair("batchd_instance", "i"), Pair("batchd_shard", "1")));
  ASSERT_TRUE(batch.output_file_id);

  std::string output;
  const Bytes size = must(provider_->download(*batch.output_file_id, into(output)));
  EXPECT_EQ(size, static_cast<Bytes>(output.size()));
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 2);
  EXPECT_THAT(output, HasSubstr("\"1-0\""));
  EXPECT_THAT(output, HasSubstr("\"2-0\""));
}

TEST_P(ProviderConformance, ShowsTheBatchAndTheFilesInTheirLists) {
  start();
  const FileId file = uploaded();
  const BatchId id = must(provider_->create_batch(new_batch(file))).batch.id;
  const auto batches = all_batches();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].id, id);
  EXPECT_EQ(batches[0].input_file_id, file);
  const auto files = must(provider_->list_files(std::nullopt)).files;
  const auto found = std::find_if(files.begin(), files.end(), [&](const RemoteFile& f) { return f.id == file; });
  ASSERT_NE(found, files.end());
  EXPECT_EQ(found->filename, "batchd-i-1-0.jsonl");
  EXPECT_EQ(found->purpose, "batch");
}

TEST_P(ProviderConformance, WalksThroughEveryPageOnce) {
  start();
  const FileId file = uploaded(1);
  std::set<std::string> made;
  for (int i = 0; i < 230; ++i) made.insert(must(provider_->create_batch(new_batch(file))).batch.id.value);
  std::set<std::string> listed;
  const auto batches = all_batches();
  for (const Batch& batch : batches) listed.insert(batch.id.value);
  EXPECT_EQ(batches.size(), 230u);
  EXPECT_EQ(listed, made);
}

TEST_P(ProviderConformance, DeletesAFileAndCallsItDeletedWhenItIsGoneAlready) {
  start();
  const FileId file = uploaded();
  EXPECT_TRUE(run(provider_->delete_file(file)));
  EXPECT_TRUE(run(provider_->delete_file(file)));
  EXPECT_EQ(kind_of(provider_->retrieve_file(file)), ErrorKind::not_found);
  std::string output;
  EXPECT_EQ(kind_of(provider_->download(file, into(output))), ErrorKind::not_found);
  EXPECT_EQ(output, "");
}

TEST_P(ProviderConformance, CancelsABatchThatRunsAndNotOneThatIsOver) {
  start({"--validating", "0", "--running", "1h"});
  const BatchId id = must(provider_->create_batch(new_batch(uploaded()))).batch.id;
  const BatchStatus status = must(provider_->cancel_batch(id)).status;
  EXPECT_TRUE(status == BatchStatus::cancelling || status == BatchStatus::cancelled) << to_string(status);
  EXPECT_EQ(wait_until_over(id).status, BatchStatus::cancelled);
  EXPECT_EQ(kind_of(provider_->cancel_batch(id)), ErrorKind::conflict) << describe(last_error_);
}

TEST_P(ProviderConformance, FindsNoBatchOfAnotherName) {
  start();
  EXPECT_EQ(kind_of(provider_->retrieve_batch({"batch_0"})), ErrorKind::not_found);
  EXPECT_EQ(kind_of(provider_->cancel_batch({"batch_0"})), ErrorKind::not_found);
}

TEST_P(ProviderConformance, ReportsWhatIsWrongWithALine) {
  start();
  const std::string text = line("1-0") + line("2-0") + line("1-0");
  const FileId file = must(provider_->upload(dir_.write("in.jsonl", text), "batchd-i-1-0.jsonl")).id;
  const Batch batch = wait_until_over(must(provider_->create_batch(new_batch(file))).batch.id);
  EXPECT_EQ(batch.status, BatchStatus::failed);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].code, "duplicate_custom_id");
  EXPECT_EQ(batch.errors[0].line, 3);
}

TEST_P(ProviderConformance, SendsALargeFileWhole) {
  start();
  std::string text;
  for (int i = 0; text.size() < 20'000'000; ++i) text += line(std::to_string(i) + "-0");
  const RemoteFile file = must(provider_->upload(dir_.write("in.jsonl", text), "batchd-i-1-0.jsonl"));
  EXPECT_EQ(must(provider_->retrieve_file(file.id)).bytes, static_cast<Bytes>(text.size()));
  std::string back;
  const Bytes size = must(provider_->download(file.id, into(back)));
  EXPECT_EQ(size, static_cast<Bytes>(text.size()));
  EXPECT_TRUE(back == text);
}

// Refusals ------------------------------------------------------------------------------------------------------------

TEST_P(ProviderConformance, TakesAWrongKeyForAnAccountFault) {
  start({"--fast", "--api-key", "right-key-123"});
  EXPECT_EQ(kind_of(provider_->list_batches(std::nullopt)), ErrorKind::account);
  EXPECT_THAT(last_error_.message, ::testing::Not(HasSubstr(credential_.key)));
  credential_.key = "right-key-123";
  EXPECT_TRUE(run(provider_->list_batches(std::nullopt))) << "a rotated key is used at once";
}

TEST_P(ProviderConformance, WaitsForAFileThatIsStillPendingAsOnlyAzureHasThem) {
  start({"--fast", "--file-pending", "1h"});
  const FileId file = uploaded();
  if (!is_azure()) {
    EXPECT_EQ(must(provider_->retrieve_file(file)).status, "processed");
    EXPECT_TRUE(run(provider_->create_batch(new_batch(file))));
    return;
  }
  EXPECT_EQ(must(provider_->retrieve_file(file)).status, "pending");
  EXPECT_EQ(kind_of(provider_->create_batch(new_batch(file))), ErrorKind::not_ready) << describe(last_error_);
}

TEST_P(ProviderConformance, WaitsForAFileThatCannotBeSeenYet) {
  start({"--fast", "--file-invisible", "1h"});
  const FileId file = uploaded();
  EXPECT_EQ(kind_of(provider_->create_batch(new_batch(file))), ErrorKind::not_ready) << describe(last_error_);
  EXPECT_EQ(kind_of(provider_->retrieve_file(file)), ErrorKind::not_found);
}

TEST_P(ProviderConformance, KnowsAFullQuotaWhenTheCreateIsRefused) {
  start({"--fast", "--quota-mode", "fast", "--limit", "1"});
  EXPECT_EQ(kind_of(provider_->create_batch(new_batch(uploaded()))), ErrorKind::quota) << describe(last_error_);
}

TEST_P(ProviderConformance, ReportsAFullQuotaThatTheBatchDiedOf) {
  start({"--fast", "--quota-mode", "late", "--limit", "1"});
  const Batch batch = wait_until_over(must(provider_->create_batch(new_batch(uploaded()))).batch.id);
  EXPECT_EQ(batch.status, BatchStatus::failed);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].code, "token_limit_exceeded");
}

TEST_P(ProviderConformance, KnowsThatNoFileSlotIsLeftWhereFilesAreCounted) {
  start({"--fast", "--max-files", "1"});
  const FileId first = uploaded();
  const auto file = dir_.write("in.jsonl", line("1-0"));
  if (!is_azure()) {
    EXPECT_TRUE(run(provider_->upload(file, "batchd-i-2-0.jsonl")));
    return;
  }
  EXPECT_EQ(kind_of(provider_->upload(file, "batchd-i-2-0.jsonl")), ErrorKind::file_slots) << describe(last_error_);
  EXPECT_TRUE(run(provider_->delete_file(first)));
  EXPECT_TRUE(run(provider_->upload(file, "batchd-i-2-0.jsonl")));
}

TEST_P(ProviderConformance, HonoursEveryFormOfRetryAfter) {
  start();
  const FileId file = uploaded();
  const auto asked = [&](const std::string& members) {
    fault(R"({"operation":"create_batch","fault":"429")" + members + "}");
    EXPECT_EQ(kind_of(provider_->create_batch(new_batch(file))), ErrorKind::throttled);
    EXPECT_EQ(last_error_.status, 429);
    return last_error_.retry_after;
  };
  EXPECT_EQ(asked(""), std::nullopt);
  EXPECT_EQ(asked(R"(,"retry_after":"7")"), 7s);
  EXPECT_EQ(asked(R"(,"retry_after":"1.5")"), 1500ms);
  EXPECT_EQ(asked(R"(,"retry_after":"7","retry_after_ms":"250")"), 250ms);
  EXPECT_EQ(asked(R"(,"retry_after":"864000")"), 24h);
  EXPECT_EQ(asked(R"(,"retry_after":"Sun, 06 Nov 1994 08:49:37 GMT")"), 0s);
}

TEST_P(ProviderConformance, TakesRefusalsOfTheAccountForWhatTheyAre) {
  start();
  const FileId file = uploaded();
  for (const auto* name : {"401", "403"}) {
    fault(std::string(R"({"operation":"create_batch","fault":")") + name + "\"}");
    EXPECT_EQ(kind_of(provider_->create_batch(new_batch(file))), ErrorKind::account) << name;
  }
  EXPECT_TRUE(all_batches().empty());
}

TEST_P(ProviderConformance, TakesARefusedNameForPermanent) {
  start();
  const auto file = dir_.write("in.jsonl", line("1-0"));
  const auto result = run(provider_->upload(file, "batchd-i-1-0.txt"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::permanent) << describe(result.error());
}

// Answers that never came -----------------------------------------------------------------------------------------------

TEST_P(ProviderConformance, CallsACreateUnknownWheneverItMayHaveHappened) {
  start();
  const FileId file = uploaded();
  struct Ambiguous {
    const char* fault;
    std::size_t made;
  };
  const Ambiguous table[] = {{"reset_before", 0}, {"500_before", 0}, {"502_html", 0},       {"503", 0},   {"reset_after", 1},
                             {"500_after", 1},    {"408_after", 1},  {"502_html_after", 1}, {"empty", 1}, {"garbage", 1}};
  std::size_t expected = 0;
  for (const Ambiguous& c : table) {
    fault(std::string(R"({"operation":"create_batch","fault":")") + c.fault + "\"}");
    EXPECT_EQ(kind_of(provider_->create_batch(new_batch(file))), ErrorKind::unknown) << c.fault << ": " << describe(last_error_);
    expected += c.made;
    EXPECT_EQ(all_batches().size(), expected) << c.fault << ": one POST, never two";
  }
}

TEST_P(ProviderConformance, GivesUpOnACreateThatHangs) {
  idle_timeout_ = 300ms;
  start();
  const FileId file = uploaded();
  fault(R"({"operation":"create_batch","fault":"hang_after"})");
  EXPECT_EQ(kind_of(provider_->create_batch(new_batch(file))), ErrorKind::unknown);
  EXPECT_EQ(all_batches().size(), 1u);
}

TEST_P(ProviderConformance, KnowsThatNothingWasSentWhenNobodyListens) {
  start();
  const FileId file = uploaded();
  sim_.reset();
  // The kept connection is noticed to be dead, and a fresh one is refused.
  EXPECT_EQ(kind_of(provider_->create_batch(new_batch(file))), ErrorKind::not_sent) << describe(last_error_);
  EXPECT_EQ(last_error_.status, 0);
}

TEST_P(ProviderConformance, ReportsADownloadThatWasCut) {
  start();
  const Batch batch = wait_until_over(must(provider_->create_batch(new_batch(uploaded(200)))).batch.id);
  for (const auto* name : {"truncate", "reset_after", "500_before"}) {
    fault(std::string(R"({"operation":"download","fault":")") + name + "\"}");
    std::string part;
    EXPECT_EQ(kind_of(provider_->download(*batch.output_file_id, into(part))), ErrorKind::unknown) << name;
  }
  std::string whole;
  const Bytes size = must(provider_->download(*batch.output_file_id, into(whole)));
  EXPECT_EQ(size, static_cast<Bytes>(whole.size()));
  EXPECT_EQ(std::count(whole.begin(), whole.end(), '\n'), 200);
}

TEST_P(ProviderConformance, FailsReadsWithoutInventingAnAnswer) {
  start();
  const BatchId id = must(provider_->create_batch(new_batch(uploaded()))).batch.id;
  for (const auto* name : {"empty", "garbage", "502_html", "503", "500_before"}) {
    fault(std::string(R"([{"operation":"list","fault":")") + name + R"("},{"operation":"retrieve","fault":")" + name + "\"}]");
    EXPECT_EQ(kind_of(provider_->list_batches(std::nullopt)), ErrorKind::unknown) << name;
    EXPECT_EQ(kind_of(provider_->retrieve_batch(id)), ErrorKind::unknown) << name;
  }
}

TEST_P(ProviderConformance, CountsEveryCallByOperationAndStatus) {
  start();
  const FileId file = uploaded();
  fault(R"({"operation":"create_batch","fault":"429"})");
  EXPECT_EQ(kind_of(provider_->create_batch(new_batch(file))), ErrorKind::throttled);
  const std::string text = metrics_.expose();
  EXPECT_THAT(text, HasSubstr("operation=\"upload\""));
  EXPECT_THAT(text, HasSubstr("operation=\"create_batch\""));
  EXPECT_THAT(text, HasSubstr("code=\"429\""));
}

}  // namespace
}  // namespace batchd::testing
