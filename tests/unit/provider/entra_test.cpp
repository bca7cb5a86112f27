#include "provider/entra.hpp"

#include "support/run_task.hpp"
#include "support/scripted_server.hpp"
#include "support/temp_dir.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <mutex>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::string entra_reply(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string granted = entra_reply(200, R"({"token_type":"Bearer","expires_in":3599,"access_token":"the-token"})");

class EntraTest : public ::testing::Test {
 protected:
  std::string url(const std::string& path = "") const { return "http://127.0.0.1:" + std::to_string(server_.port()) + path; }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  void answer(std::string text) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(text);
  }
  TokenResult fetch(TokenSource& source) { return run_task(io_, source.fetch()); }
  EntraLogin login(LoginProof proof, const std::string& authority_path = "") {
    LoginSettings settings{*parse_endpoint(url(authority_path)), "my.tenant", "id-1",
                           "https://cognitiveservices.azure.com/.default", std::move(proof)};
    return EntraLogin(std::move(settings), {});
  }

  TempDir dir_;
  std::mutex mutex_;
  std::string answer_ = granted;
  std::vector<std::string> asked_;
  asio::io_context io_{1};
  ScriptedServer server_{[this](Peer& peer, int) {
    std::string request = peer.read_request();
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      asked_.push_back(std::move(request));
      text = answer_;
    }
    peer.write(text);
  }};
};

TEST_F(EntraTest, AClientSecretIsExchangedForAToken) {
  auto source = login({LoginProof::Kind::secret, {}, Secret("a b&c=d+%/é")});
  const TokenResult token = fetch(source);
  ASSERT_TRUE(token) << token.error().message;
  EXPECT_EQ(token->text, "the-token");
  EXPECT_EQ(token->life, 3599s);
  ASSERT_THAT(asked(), SizeIs(1));
  EXPECT_THAT(asked()[0], StartsWith("POST /my.tenant/oauth2/v2.0/token HTTP/1.1\r\n"));
  EXPECT_THAT(asked()[0], HasSubstr("Content-Type: application/x-www-form-urlencoded\r\n"));
  EXPECT_THAT(asked()[0],
              EndsWith("\r\n\r\nclient_id=id-1&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&grant_type=client_"
                       "credentials&client_secret=a%20b%26c%3Dd%2B%25%2F%C3%A9"));
  EXPECT_FALSE(source.proof_changed());
}

TEST_F(EntraTest, AnAuthorityWithItsUsualSlashIsJoinedWithOne) {
  for (const auto* path : {"/", "//", ""}) {
    auto source = login({LoginProof::Kind::secret, {}, Secret("s")}, path);
    fetch(source);
  }
  for (const auto& request : asked()) EXPECT_THAT(request, StartsWith("POST /my.tenant/oauth2/v2.0/token ")) << request;
}

TEST_F(EntraTest, AnAssertionIsReadAnewForEachExchangeWithoutItsLineBreak) {
  const auto file = dir_.write("token", "first.jwt\n");
  auto source = login({LoginProof::Kind::assertion, file, {}});
  ASSERT_TRUE(fetch(source));
  EXPECT_FALSE(source.proof_changed());
  dir_.write("token.new", "second.jwt\r\n");
  std::filesystem::rename(dir_.path() / "token.new", file);  // as a rotation does
  EXPECT_TRUE(source.proof_changed());
  EXPECT_FALSE(source.proof_changed());
  ASSERT_TRUE(fetch(source));
  ASSERT_THAT(asked(), SizeIs(2));
  EXPECT_THAT(asked()[0],
              EndsWith("&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="
                       "first.jwt"));
  EXPECT_THAT(asked()[1], EndsWith("&client_assertion=second.jwt"));
  EXPECT_THAT(asked()[1], Not(HasSubstr("client_secret")));
}

TEST_F(EntraTest, AFileThatIsMissingForAMomentIsWorthAnotherTry) {
  const auto file = dir_.write("token", "first.jwt\n");
  auto source = login({LoginProof::Kind::assertion, file, {}});
  std::filesystem::remove(file);
  EXPECT_FALSE(source.proof_changed());
  const TokenResult none = fetch(source);
  ASSERT_FALSE(none);
  EXPECT_FALSE(none.error().lasting);
  EXPECT_FALSE(none.error().called);
  EXPECT_THAT(none.error().message, AllOf(HasSubstr(file.string()), HasSubstr("No such file")));
  dir_.write("token", "\n");
  EXPECT_FALSE(fetch(source)) << "written to, but not finished";
  EXPECT_THAT(asked(), SizeIs(0));
  dir_.write("token", "again.jwt");
  EXPECT_TRUE(source.proof_changed());
  EXPECT_TRUE(fetch(source));
}

TEST_F(EntraTest, ARefusalSaysWhoRefusedAndWhyButNotTheSecret) {
  answer(entra_reply(
      401,
      R"({"error":"invalid_client","error_codes":[7000215],"error_description":"AADSTS7000215: Invalid client secret hush-hush"})"));
  auto source = login({LoginProof::Kind::secret, {}, Secret("hush-hush")});
  const TokenResult refused = fetch(source);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().lasting);
  EXPECT_EQ(refused.error().code, "AADSTS7000215");
  EXPECT_EQ(refused.error().message, "login at 127.0.0.1:" + std::to_string(server_.port()) +
                                         ": HTTP 401, invalid_client, AADSTS7000215: Invalid client secret ***");
}

TEST_F(EntraTest, ARedirectIsNotFollowedAndABrokenConnectionPasses) {
  ScriptedServer elsewhere([](Peer& peer, int) { peer.read_request(); });
  answer("HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:" + std::to_string(elsewhere.port()) + "/x\r\nContent-Length: 0\r\n\r\n");
  auto source = login({LoginProof::Kind::secret, {}, Secret("s3cret")});
  const TokenResult sent_away = fetch(source);
  ASSERT_FALSE(sent_away);
  EXPECT_TRUE(sent_away.error().lasting);
  EXPECT_EQ(elsewhere.connections(), 0) << "the secret goes to its own authority only";
  answer("");
  const TokenResult cut = fetch(source);
  ASSERT_FALSE(cut);
  EXPECT_FALSE(cut.error().lasting);
  EXPECT_EQ(cut.error().status, 0);
}

TEST_F(EntraTest, AMachinesIdentityIsAskedAsItsEndpointWants) {
  answer(entra_reply(
      200,
      R"({"access_token":"the-token","refresh_token":"","expires_in":"3599","expires_on":"1506484173","not_before":"1506480273"})"));
  MachineIdentity plain({*parse_endpoint(url()), "https://cognitiveservices.azure.com", "", "", ""}, {});
  const TokenResult token = fetch(plain);
  ASSERT_TRUE(token) << token.error().message;
  EXPECT_EQ(token->life, 3599s);
  MachineIdentity chosen({*parse_endpoint(url()), "https://ai.azure.com", "id 1", "", ""}, {});
  ASSERT_TRUE(fetch(chosen));
  ASSERT_THAT(asked(), SizeIs(2));
  EXPECT_THAT(
      asked()[0],
      StartsWith("GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com "
                 "HTTP/1.1\r\n"));
  EXPECT_THAT(asked()[0], HasSubstr("\r\nMetadata: true\r\n"));
  EXPECT_THAT(asked()[1], HasSubstr("&resource=https%3A%2F%2Fai.azure.com&client_id=id%201 HTTP/1.1\r\n"));
  MachineIdentity object({*parse_endpoint(url()), "r", "", "o", ""}, {});
  MachineIdentity resource({*parse_endpoint(url()), "r", "", "", "/subscriptions/s"}, {});
  ASSERT_TRUE(fetch(object));
  ASSERT_TRUE(fetch(resource));
  EXPECT_THAT(asked()[2], HasSubstr("&resource=r&object_id=o HTTP/1.1\r\n"));
  EXPECT_THAT(asked()[3], HasSubstr("&resource=r&msi_res_id=%2Fsubscriptions%2Fs HTTP/1.1\r\n"));
}

TEST_F(EntraTest, TheMachinesOwnEndpointIsTheLinkLocalOne) {
  EXPECT_EQ(machine_identity_endpoint(), (Endpoint{"http", "169.254.169.254", "80", ""}));
  answer(entra_reply(410, ""));
  MachineIdentity source({*parse_endpoint(url()), "r", "", "", ""}, {});
  const TokenResult none = fetch(source);
  ASSERT_FALSE(none);
  EXPECT_FALSE(none.error().lasting);
  EXPECT_EQ(none.error().message, "identity endpoint: HTTP 410");
}

}  // namespace
}  // namespace batchd::testing
