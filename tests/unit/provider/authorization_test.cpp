// What HttpProvider makes of its credential: what is shown, what follows a 401, what never happens.
#include "provider/openai_api.hpp"

#include "support/run_task.hpp"
#include "support/scripted_server.hpp"
#include "support/temp_dir.hpp"

#include <gmock/gmock.h>

#include <mutex>

namespace batchd::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

/// Shows what it is told to; after a refusal the next of `others`.
struct Scripted final : Credential {
  Task<ProviderResult<Authorization>> authorization() override {
    if (failure) co_return *failure;
    if (on_ask) on_ask();
    co_return shown;
  }
  Task<ProviderResult<std::optional<Authorization>>> replacement(const Authorization& refused) override {
    refusals.push_back(refused.secret);
    if (failure) co_return *failure;
    if (others.empty()) co_return std::optional<Authorization>();
    shown.secret = others.front();
    others.erase(others.begin());
    co_return std::optional<Authorization>(shown);
  }
  Task<bool> tend() override { co_return false; }

  Authorization shown{Authorization::Scheme::bearer, "first"};
  std::vector<std::string> others;
  std::vector<std::string> refusals;
  std::optional<ProviderError> failure;
  std::function<void()> on_ask;
};

std::string reply(int status, const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class AuthorizationTest : public ::testing::Test {
 protected:
  void start() {
    ProviderSettings settings;
    settings.name = "p";
    settings.kind = "azure-v1";
    settings.endpoint = "http://127.0.0.1:" + std::to_string(server_.port());
    settings.credential = &credential_;
    settings.may_call = [this] { return may_call_; };
    settings.http.max_idle_connections = 0;
    provider_.emplace(std::move(settings), metrics_, log_);
  }
  ProviderResult<CreatedBatch> create() {
    start();
    NewBatch batch;
    batch.input_file_id.value = "file-1";
    batch.endpoint = "/v1/chat/completions";
    return run_task(io_, provider_->create_batch(batch));
  }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  /// By what was shown; anything else is granted.
  std::map<std::string, std::string> answers_;
  std::mutex mutex_;
  std::vector<std::string> asked_;
  asio::io_context io_{1};
  Metrics metrics_{"test"};
  Log log_{LogLevel::error, LogFormat::json};
  Scripted credential_;
  bool may_call_ = true;
  std::optional<HttpProvider> provider_;
  ScriptedServer server_{[this](Peer& peer, int) {
    const std::string request = peer.read_request();
    std::string answer = reply(200, R"({"id":"batch_1","object":"batch","status":"validating"})");
    for (const auto& [token, text] : answers_) {
      if (request.find("Bearer " + token + "\r\n") != std::string::npos) answer = text;
    }
    {
      const std::lock_guard lock(mutex_);
      asked_.push_back(request);
    }
    peer.write(answer);
  }};
};

const std::string refused = reply(401, R"({"error":{"code":"unauthorized","message":"expired"}})");

TEST_F(AuthorizationTest, ATokenIsShownInOneHeaderOnly) {
  ASSERT_TRUE(create());
  ASSERT_THAT(asked(), SizeIs(1));
  EXPECT_THAT(asked()[0], AllOf(HasSubstr("\r\nAuthorization: Bearer first\r\n"), Not(HasSubstr("api-key"))));
}

TEST_F(AuthorizationTest, ACallRefusedWith401IsMadeOnceMoreWithAnotherToken) {
  answers_["first"] = refused;
  credential_.others = {"second", "third"};
  ASSERT_TRUE(create());
  EXPECT_THAT(credential_.refusals, ElementsAre("first"));
  ASSERT_THAT(asked(), SizeIs(2));
  EXPECT_THAT(asked()[1], HasSubstr("Bearer second\r\n"));
  EXPECT_EQ(asked()[0].substr(asked()[0].find("\r\n\r\n")), asked()[1].substr(asked()[1].find("\r\n\r\n"))) << "the same body";
}

TEST_F(AuthorizationTest, AnUploadIsSentWholeTheSecondTime) {
  answers_["first"] = refused;
  credential_.others = {"second"};
  start();
  const TempDir dir;
  const auto file = dir.write("in.jsonl", std::string(300'000, 'x'));
  (void)run_task(io_, provider_->upload(file, "in.jsonl"));
  ASSERT_THAT(asked(), SizeIs(2));
  EXPECT_EQ(asked()[0].size(), asked()[1].size() - 1) << "`second` is one letter longer than `first`";
  EXPECT_GT(asked()[1].size(), 300'000U);
}

TEST_F(AuthorizationTest, ASecondRefusalIsTheAccounts) {
  answers_["first"] = answers_["second"] = refused;
  credential_.others = {"second", "third"};
  const auto result = create();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::account);
  EXPECT_EQ(result.error().status, 401);
  EXPECT_THAT(asked(), SizeIs(2));
}

TEST_F(AuthorizationTest, WithoutAnotherCredentialNothingIsRepeated) {
  answers_["first"] = refused;
  const auto result = create();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::account);
  EXPECT_THAT(asked(), SizeIs(1));
}

TEST_F(AuthorizationTest, OtherRefusalsAreNotAboutTheToken) {
  credential_.others = {"second"};
  for (const int status : {400, 403, 404, 429, 500, 502}) {
    answers_["first"] = reply(status, R"({"error":{"code":"x","message":"y"}})");
    ASSERT_FALSE(create());
  }
  EXPECT_THAT(asked(), SizeIs(6));
  EXPECT_THAT(credential_.refusals, SizeIs(0));
}

TEST_F(AuthorizationTest, WhyThereIsNoTokenIsTheCallsError) {
  credential_.failure =
      ProviderError{ErrorKind::account, 0, "AADSTS7000222", "no Entra token: expired secret", Milliseconds{2000}};
  const auto result = create();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::account);
  EXPECT_EQ(result.error().code, "AADSTS7000222");
  EXPECT_EQ(result.error().retry_after, Milliseconds{2000});
  EXPECT_THAT(asked(), SizeIs(0));
}

TEST_F(AuthorizationTest, ALeaseThatRanOutWhileATokenWasFetchedKeepsTheCallFromBeingMade) {
  credential_.on_ask = [this] { may_call_ = false; };
  const auto result = create();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::not_sent);
  EXPECT_EQ(result.error().code, "lease_expired");
  EXPECT_EQ(server_.connections(), 0);
}

TEST_F(AuthorizationTest, ACredentialIsNotCarriedAlongARedirect) {
  ScriptedServer elsewhere([](Peer& peer, int) { peer.read_request(); });
  for (const int status : {301, 302, 307, 308}) {
    answers_["first"] =
        reply(status, "", "Location: http://127.0.0.1:" + std::to_string(elsewhere.port()) + "/openai/v1/batches\r\n");
    const auto result = create();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::account) << status;
  }
  EXPECT_EQ(elsewhere.connections(), 0);
}

TEST_F(AuthorizationTest, ATokenThatIsRepeatedInAnAnswerIsBlottedOut) {
  credential_.shown.secret = "eyJ0eXAi.super.secret";
  answers_["eyJ0eXAi.super.secret"] =
      reply(403, R"({"error":{"code":"forbidden","message":"token eyJ0eXAi.super.secret is not allowed"}})");
  const auto result = create();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "token *** is not allowed");
}

}  // namespace
}  // namespace batchd::testing
