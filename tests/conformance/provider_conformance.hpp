// A conformance test of the provider port, with the few steps that most of them begin with. Each suite runs against every
// adapter (provider_cases); whatever a test asks for goes through the harness or the port, never past them.
#pragma once

#include "conformance/provider_harness.hpp"
#include "support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace batchd::conformance {

using namespace std::chrono_literals;

inline std::string describe(const ProviderError& error) {
  return std::string(to_string(error.kind)) + " " + std::to_string(error.status) + " " + error.code + " " + error.message;
}

class ProviderConformance : public ::testing::TestWithParam<ProviderCase> {
 protected:
  void start(const AccountRules& rules = {}) { harness->start(rules); }
  Provider& provider() { return harness->provider(); }
  bool is_azure() const { return harness->is_azure(); }

  template <class T>
  ProviderResult<T> run(Task<ProviderResult<T>> task) {
    return harness->wait(std::move(task));
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
    last_error = result.error();
    return last_error.kind;
  }

  std::string body(const std::string& prompt = "hello", Ask ask = Ask::nothing) const {
    return R"({"model":"m",)" + harness->asking(ask) + R"("messages":[{"role":"user","content":")" + prompt + R"("}]})";
  }
  std::string line(const std::string& custom_id, const std::string& prompt = "hello", Ask ask = Ask::nothing) const {
    return R"({"custom_id":")" + custom_id + R"(","method":"POST","url":")" +
           harness->provider().line_url("/v1/chat/completions") + R"(","body":)" + body(prompt, ask) + "}\n";
  }
  std::filesystem::path file_of(const std::string& text) const { return dir.write("in.jsonl", text); }
  FileId upload(const std::string& text, const std::string& name = "batchd-i-1-1.jsonl") {
    return must(provider().upload(file_of(text), name)).id;
  }
  FileId uploaded(int lines = 3) {
    std::string text;
    for (int i = 1; i <= lines; ++i) text += line(std::to_string(i) + "-1");
    return upload(text);
  }
  NewBatch order(FileId file) const {
    NewBatch batch;
    batch.input_file_id = std::move(file);
    batch.endpoint = "/v1/chat/completions";
    batch.metadata = {{"batchd_instance", "i"}, {"batchd_shard", "1"}, {"batchd_attempt", "1"}};
    return batch;
  }
  BatchId create(FileId file) { return must(provider().create_batch(order(std::move(file)))).batch.id; }
  Batch wait_until_over(const BatchId& id) {
    for (const auto deadline = std::chrono::steady_clock::now() + 20s;;) {
      Batch batch = must(provider().retrieve_batch(id));
      if (is_terminal(batch.status)) return batch;
      if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the batch never ends");
      harness->pass();
    }
  }
  Batch ran(const std::string& text) { return wait_until_over(create(upload(text))); }

  std::vector<Batch> all_batches() {
    std::vector<Batch> all;
    std::optional<std::string> after;
    do {
      BatchPage page = must(provider().list_batches(after));
      std::move(page.batches.begin(), page.batches.end(), std::back_inserter(all));
      after = page.next;
    } while (after);
    return all;
  }
  std::vector<RemoteFile> all_files() {
    std::vector<RemoteFile> all;
    std::optional<std::string> after;
    do {
      FilePage page = must(provider().list_files(after));
      std::move(page.files.begin(), page.files.end(), std::back_inserter(all));
      after = page.next;
    } while (after);
    return all;
  }
  static ByteSink into(std::string& text) {
    return [&text](std::string_view bytes) -> Task<void> {
      text += bytes;
      co_return;
    };
  }
  std::string content(const FileId& file) {
    std::string text;
    const Bytes size = must(provider().download(file, into(text)));
    EXPECT_EQ(size, static_cast<Bytes>(text.size()));
    return text;
  }

  std::unique_ptr<ProviderHarness> harness = GetParam().make();
  testing::TempDir dir;
  ProviderError last_error;
};

}  // namespace batchd::conformance

/// Runs a suite, declared by its name as a ProviderConformance of its own, against every adapter.
#define PROVIDER_CONFORMANCE_SUITE(Suite)                                          \
  class Suite : public ProviderConformance {};                                     \
  INSTANTIATE_TEST_SUITE_P(Adapters, Suite, ::testing::ValuesIn(provider_cases()), \
                           [](const auto& which) { return which.param.label; })
