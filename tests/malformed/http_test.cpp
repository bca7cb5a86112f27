// A peer that says something else than an answer to a creation, byte for byte as the case has it.
#include "core/json_scan.hpp"
#include "malformed/corpus.hpp"
#include "provider/openai_api.hpp"
#include "support/fixed_credential.hpp"
#include "support/run_task.hpp"
#include "support/scripted_server.hpp"

#include <gtest/gtest.h>

namespace batchd::testing {
namespace {

class HttpCase {
 public:
  std::string verdict(const MalformedCase& tested) {
    const std::string answer = tested.input();
    int posts = 0;
    const auto result = [&] {
      const ScriptedServer server([&](Peer& peer, int) {
        if (peer.read_request().starts_with("POST")) ++posts;
        peer.write(answer);
      });
      return create(server.port());
    }();
    EXPECT_EQ(posts, 1) << tested.name << ": a creation is never repeated";
    if (result) return "created:" + result->batch.id.value;
    EXPECT_TRUE(valid_utf8(result.error().message)) << tested.name;
    EXPECT_LE(result.error().message.size(), 500U) << tested.name;
    return std::string(to_string(result.error().kind));
  }

 private:
  ProviderResult<CreatedBatch> create(std::uint16_t port) {
    ProviderSettings settings;
    settings.name = "p";
    settings.kind = "azure";
    settings.api_version = "2024-10-21";
    settings.endpoint = "http://127.0.0.1:" + std::to_string(port);
    settings.credential = &credential_;
    settings.http.idle_timeout = std::chrono::seconds(20);
    HttpProvider provider(std::move(settings), metrics_, log_);
    NewBatch batch;
    batch.input_file_id = FileId{"file-1"};
    batch.endpoint = "/v1/chat/completions";
    return run_task(io_, provider.create_batch(batch));
  }

  asio::io_context io_;
  FixedCredential credential_{"key"};
  Metrics metrics_{"test"};
  Log log_{LogLevel::error, LogFormat::json};
};

TEST(Malformed, HttpAnswers) {
  HttpCase http;
  expect_verdicts("http_answers", [&http](const MalformedCase& tested) { return http.verdict(tested); });
}

}  // namespace
}  // namespace batchd::testing
