// What the client says to a proxy and makes of its refusals. What passes through a tunnel is shown by real daemons and a real
// proxy in tests/integration/network_test.py.
#include "http_client_fixture.hpp"

#include <stdexcept>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class HttpProxyTest : public HttpClientTest {
 protected:
  /// A call of an origin that nobody here can resolve, through `proxy`.
  HttpResult call_through(const ScriptedServer& proxy, std::function<std::string()> credentials = {}) {
    HttpClientOptions options;
    options.proxy = *parse_proxy("http://me:secret@localhost:" + std::to_string(proxy.port()));
    options.proxy_credentials = std::move(credentials);
    options.connect_timeout = patience_;
    client_.emplace(*parse_endpoint("https://origin.invalid"), options);
    return post(*client_);
  }
  void expect_not_sent(const HttpResult& result, const std::string& why) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().phase, HttpError::Phase::not_sent);
    EXPECT_TRUE(result.error().tried);
    EXPECT_THAT(result.error().message, AllOf(HasSubstr("proxy http://localhost:"), HasSubstr(why), Not(HasSubstr("secret"))));
  }
  ScriptedServer::Script answering(std::string answer) {
    return [this, answer](Peer& peer, int) {
      seen_ = peer.read_request();
      peer.write(answer);
      peer.read(1);
    };
  }

  std::chrono::milliseconds patience_ = 20s;
  std::string seen_;
};

TEST_F(HttpProxyTest, IsAskedForATunnelToTheOriginByNameAndWithCredentials) {
  const ScriptedServer proxy(answering("HTTP/1.1 503 Away\r\n\r\n"));
  expect_not_sent(call_through(proxy), "gives no connection to origin.invalid: HTTP 503 Away");
  EXPECT_EQ(seen_,
            "CONNECT origin.invalid:443 HTTP/1.1\r\nHost: origin.invalid:443\r\nProxy-Authorization: Basic "
            "bWU6c2VjcmV0\r\n\r\n");
}

TEST_F(HttpProxyTest, IsShownTheCredentialsOfTheMoment) {
  const ScriptedServer proxy(answering("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"));
  expect_not_sent(call_through(proxy, [] { return "other:one"; }), "HTTP 407 Who (it does not take the credentials)");
  EXPECT_THAT(seen_, HasSubstr("Basic b3RoZXI6b25l\r\n"));
  expect_not_sent(call_through(proxy, [] { return ""; }), "(it wants credentials)");
  EXPECT_THAT(seen_, Not(HasSubstr("Proxy-Authorization")));
  expect_not_sent(call_through(proxy, []() -> std::string { throw std::runtime_error("/f (gone)"); }), "/f (gone)");
}

TEST_F(HttpProxyTest, ThatHangsUpOrTalksNonsenseIsNamed) {
  const ScriptedServer mute([](Peer& peer, int) { peer.read_request(); });
  expect_not_sent(call_through(mute), "gives no connection to origin.invalid");
  const ScriptedServer half(answering("HTTP/1.1 20"));
  expect_not_sent(call_through(half), "gives no connection to origin.invalid");
  const ScriptedServer nonsense(answering("220 mail.example ESMTP\r\n\r\n"));
  expect_not_sent(call_through(nonsense), "gives no connection to origin.invalid");
  const ScriptedServer chatty(answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
  expect_not_sent(call_through(chatty), "says something of its own");
}

TEST_F(HttpProxyTest, ThatSaysNothingIsGivenUpInTime) {
  patience_ = 300ms;
  const ScriptedServer silent([](Peer& peer, int) {
    peer.read_request();
    peer.read(1);
  });
  expect_not_sent(call_through(silent), "timed out");
}

TEST_F(HttpProxyTest, ThatIsNotThereIsNamed) {
  std::uint16_t port = 0;
  {
    const ScriptedServer gone([](Peer&, int) {});
    port = gone.port();
  }
  HttpClientOptions options;
  options.proxy = *parse_proxy("http://localhost:" + std::to_string(port));
  client_.emplace(*parse_endpoint("https://origin.invalid"), options);
  expect_not_sent(get(*client_), "cannot connect to proxy");
}

TEST_F(HttpProxyTest, ThatCannotProveWhoItIsSeesNoCredentials) {
  const TestAuthority somebody("somebody else");
  const ScriptedServer proxy(answering("HTTP/1.1 200 OK\r\n\r\n"), somebody.issue("localhost"));
  HttpClientOptions options;
  options.proxy = *parse_proxy("https://me:secret@localhost:" + std::to_string(proxy.port()));
  client_.emplace(*parse_endpoint("https://origin.invalid"), options);
  const HttpResult result = get(*client_);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message,
              AllOf(StartsWith("TLS handshake with proxy https://localhost:"), HasSubstr("certificate refused")));
  EXPECT_EQ(seen_, "");
}

}  // namespace
}  // namespace batchd::testing
