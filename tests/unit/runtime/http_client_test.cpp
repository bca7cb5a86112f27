#include "http_client_fixture.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using Phase = HttpError::Phase;

TEST_F(HttpClientTest, ReadsStatusHeadersAndBody) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 404 Not Found\r\nX-Thing:  value \r\nContent-Length: 5\r\n\r\nabcde");
  });
  const HttpResult result = get(client_for(server));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->status, 404);
  EXPECT_EQ(find_header(result->headers, "x-thing"), "value");
  EXPECT_EQ(result->body, "abcde");
  EXPECT_EQ(result->body_bytes, 5u);
}

TEST_F(HttpClientTest, SendsWhatItWasGivenAndNothingElse) {
  std::string seen;
  const ScriptedServer server([&](Peer& peer, int) {
    seen = peer.read_request();
    peer.write(ok_answer);
  });
  HttpClientOptions options;
  options.user_agent = "batchd/1.2.3";
  HttpRequest r = request("POST", "{\"a\":1}");
  r.headers = {{"api-key", "k"}};
  ASSERT_TRUE(run_task(io_, client_for(server, options).send(r)));
  EXPECT_EQ(seen, "POST /t HTTP/1.1\r\nHost: localhost:" + std::to_string(server.port()) +
                      "\r\nUser-Agent: batchd/1.2.3\r\napi-key: k\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
}

TEST_F(HttpClientTest, SaysThatAPostWithoutABodyHasLengthZero) {
  std::string seen;
  const ScriptedServer server([&](Peer& peer, int) {
    seen = peer.read_request();
    peer.write(ok_answer);
  });
  ASSERT_TRUE(run_task(io_, client_for(server).send(request("POST"))));
  EXPECT_THAT(seen, HasSubstr("Content-Length: 0\r\n"));
}

TEST_F(HttpClientTest, NeverSendsAHeaderThatHoldsALineBreakAndNeverShowsItsValue) {
  const ScriptedServer server([](Peer&, int) {});
  HttpRequest r = request("GET");
  r.headers = {{"api-key", "secret\r\nX-Other: 1"}};
  const HttpResult result = run_task(io_, client_for(server).send(r));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, Phase::not_sent);
  EXPECT_THAT(result.error().message, HasSubstr("api-key"));
  EXPECT_THAT(result.error().message, ::testing::Not(HasSubstr("secret")));
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(HttpClientTest, JoinsChunksWhereverTheyAreCut) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    for (const char c : std::string(
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n")) {
      peer.write(std::string_view(&c, 1));
    }
  });
  const HttpResult result = get(client_for(server));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->body, "abc0123456789abcdef");
}

TEST_F(HttpClientTest, PassesOverInterimAnswers) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + std::string(ok_answer));
  });
  const HttpResult result = get(client_for(server));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->body, "hi");
}

TEST_F(HttpClientTest, DoesNotFollowRedirects) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
  });
  const HttpResult result = get(client_for(server));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 302);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, KeepsAConnectionForTheNextRequest) {
  const ScriptedServer server([](Peer& peer, int) {
    while (!peer.read_request().empty()) peer.write(ok_answer);
  });
  HttpClient& client = client_for(server);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(i % 2 ? post(client) : get(client));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, DoesNotReuseAConnectionThatTheServerEnds) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
  });
  HttpClient& client = client_for(server);
  EXPECT_TRUE(get(client));
  EXPECT_TRUE(post(client));
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(HttpClientTest, NoticesThatAKeptConnectionWasClosedMeanwhile) {
  std::atomic<bool> closed{false};
  const ScriptedServer server([&](Peer& peer, int connection) {
    if (connection == 1) closed = true;  // the first one is closed by the time the second is accepted
    peer.read_request();
    peer.write(ok_answer);
  });
  HttpClient& client = client_for(server);
  ASSERT_TRUE(get(client));
  // The script has returned, so the server closes; a POST must not meet the dead connection.
  ASSERT_TRUE(eventually([&] { return post(client).has_value(); }));
  EXPECT_TRUE(closed);
}

TEST_F(HttpClientTest, RepeatsAGetWhoseKeptConnectionDiesUnanswered) {
  const ScriptedServer server([](Peer& peer, int connection) {
    peer.read_request();
    peer.write(ok_answer);
    if (connection == 0) peer.read_request();  // reads the second request, then hangs up
  });
  HttpClient& client = client_for(server);
  ASSERT_TRUE(get(client));
  const HttpResult second = get(client);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(HttpClientTest, NeverRepeatsAPost) {
  std::atomic<int> posts{0};
  const ScriptedServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.write(ok_answer);
    if (!peer.read_request().empty()) ++posts;
  });
  HttpClient& client = client_for(server);
  ASSERT_TRUE(get(client));
  const HttpResult result = post(client);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, Phase::unknown);
  EXPECT_EQ(posts, 1);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, DoesNotRepeatAGetOnAFreshConnection) {
  const ScriptedServer server([](Peer& peer, int) { peer.read_request(); });
  const HttpResult result = get(client_for(server));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, Phase::unknown);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, ReportsAResetAsUnknown) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.reset_on_close();
  });
  const HttpResult result = post(client_for(server));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, Phase::unknown);
  EXPECT_THAT(result.error().message, HasSubstr("reset"));
}

TEST_F(HttpClientTest, KnowsThatNothingWasSentWhenNobodyListens) {
  std::uint16_t port = 0;
  {
    const ScriptedServer server([](Peer&, int) {});
    port = server.port();
  }
  HttpClient client(*parse_endpoint("http://127.0.0.1:" + std::to_string(port)), {});
  const HttpResult result = run_task(io_, client.send(request("POST", "{}")));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, Phase::not_sent);
  EXPECT_EQ(result.error().message, "cannot connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
}

TEST_F(HttpClientTest, GivesUpOnAServerThatNeverAnswers) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.read(1);
  });
  HttpClientOptions options;
  options.idle_timeout = 100ms;
  const HttpResult result = post(client_for(server, options));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, Phase::unknown);
  EXPECT_THAT(result.error().message, HasSubstr("timed out"));
}

TEST_F(HttpClientTest, GivesUpOnAnAnswerThatDribblesPastTheTimeForTheWholeCall) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while (peer.write("x")) std::this_thread::sleep_for(5ms);
  });
  HttpClientOptions options;
  options.call_timeout = 200ms;
  const auto started = std::chrono::steady_clock::now();
  const HttpResult result = get(client_for(server, options));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("timed out"));
  EXPECT_LT(std::chrono::steady_clock::now() - started, 10s);
}

TEST_F(HttpClientTest, RefusesHeadersThatNeverEnd) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\n");
    while (peer.write("X-Filler: 0123456789012345678901234567890123456789\r\n")) continue;
  });
  const HttpResult result = get(client_for(server));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, Phase::unknown);
  EXPECT_THAT(result.error().message, HasSubstr("not HTTP as expected"));
}

TEST_F(HttpClientTest, RefusesAnAnswerThatIsNotHttp) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("SSH-2.0-OpenSSH_9.2\r\n");
  });
  const HttpResult result = get(client_for(server));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("not HTTP as expected"));
}

TEST_F(HttpClientTest, RefusesABodyLargerThanItsLimit) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + std::string(300'000, 'x'));
  });
  HttpClientOptions options;
  options.max_body_bytes = 200'000;
  const HttpResult result = get(client_for(server, options));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("larger than 200000 bytes"));
}

TEST_F(HttpClientTest, ReportsABodyShorterThanItsLength) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  });
  std::string seen;
  const HttpResult result = download(client_for(server), seen);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, Phase::unknown);
  EXPECT_EQ(result.error().message, "the body was cut after 3 bytes of 10");
  EXPECT_EQ(seen, "abc");
}

TEST_F(HttpClientTest, ReportsChunksThatStopWithoutTheLastOne) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  });
  std::string seen;
  const HttpResult result = download(client_for(server), seen);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "the body was cut after 3 bytes");
}

TEST_F(HttpClientTest, TakesABodyThatEndsWithItsConnection) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\n\r\nabc");
  });
  std::string seen;
  const HttpResult result = download(client_for(server), seen);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(seen, "abc");
}

}  // namespace
}  // namespace batchd::testing
