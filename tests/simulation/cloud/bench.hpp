// A fake cloud for a test, with its clock in hand and the few steps that most tests begin with.
#pragma once

#include "simulation/cloud/cloud.hpp"

#include <stdexcept>
#include <string>
#include <utility>

namespace batchd::simulation {

struct Bench {
  explicit Bench(CloudSettings settings = CloudSettings::azure_like(), std::uint64_t seed = 1)
      : cloud([this] { return now; }, Dice(seed), std::move(settings)) {}

  static std::string body(const std::string& prompt) { return R"({"messages":[{"role":"user","content":")" + prompt + R"("}]})"; }
  std::string line(int request, const std::string& prompt) const {
    return R"({"custom_id":")" + std::to_string(request) + R"(-1","method":"POST","url":")" +
           cloud.settings().line_url("/v1/chat/completions") + R"(","body":{"model":"dep",)" + body(prompt).substr(1) + "}\n";
  }
  std::string lines(int count) const {
    std::string text;
    for (int i = 1; i <= count; ++i) text += line(i, "prompt " + std::to_string(i));
    return text;
  }
  template <class T>
  static T must(ProviderResult<T> result) {
    if (!result) throw std::runtime_error(std::string(to_string(result.error().kind)) + ": " + result.error().message);
    return std::move(*result);
  }
  template <class T>
  static std::optional<ErrorKind> kind(const ProviderResult<T>& result) {
    return result ? std::nullopt : std::optional(result.error().kind);
  }

  FileId upload(const std::string& text) { return must(cloud.upload(text, "batchd-i-1-1.jsonl")).id; }
  static NewBatch order(FileId file, int shard = 1) {
    return {std::move(file), "/v1/chat/completions", batch_metadata("i", ShardId{shard}, 1)};
  }
  /// When the file has been processed.
  BatchId create(const FileId& file, int shard = 1) {
    pass(cloud.settings().processing.most);
    return must(cloud.create_batch(order(file, shard))).batch.id;
  }
  BatchId create(int count = 10) { return create(upload(lines(count))); }

  void pass(Milliseconds time) { now += time; }
  /// As long as an honest batch takes at most.
  void pass_a_batch() {
    const CloudSettings& s = cloud.settings();
    pass(s.validating.most + s.running.most + s.finalizing.most);
  }
  Batch batch(const BatchId& id) { return must(cloud.retrieve_batch(id)); }
  Batch ran(int count = 10) {
    const BatchId id = create(count);
    pass_a_batch();
    return batch(id);
  }
  std::string content(const FileId& file) {
    const Download download = must(cloud.download(file));
    return download.content->substr(0, download.size);
  }
  std::string output(const Batch& batch) { return content(batch.output_file_id.value()); }
  std::string failures(const Batch& batch) { return batch.error_file_id ? content(*batch.error_file_id) : ""; }

  Milliseconds now{0};
  FakeCloud cloud;
};

}  // namespace batchd::simulation
