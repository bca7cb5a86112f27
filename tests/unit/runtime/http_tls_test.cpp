#include "runtime/http_client.hpp"
#include "support/run_task.hpp"
#include "support/scripted_server.hpp"
#include "support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <atomic>

namespace batchd::testing {
namespace {

using ::testing::HasSubstr;

class HttpTlsTest : public ::testing::Test {
 protected:
  HttpResult get(const ScriptedServer& server, const std::string& host = "localhost", const std::string& ca = "") {
    HttpClientOptions options;
    options.tls.ca_file = dir_.write("ca.pem", ca.empty() ? authority_.pem() : ca);
    HttpClient client(*parse_endpoint("https://" + host + ":" + std::to_string(server.port())), options);
    HttpRequest request;
    request.target = "/";
    const DownloadSink sink = [this](std::string_view bytes) -> Task<void> {
      seen_ += bytes;
      co_return;
    };
    return run_task(io_, client.download(request, sink));
  }
  ScriptedServer::Script answer_ok() {
    return [this](Peer& peer, int) {
      if (peer.read_request().empty()) return;
      ++requests_;
      asked_for_ = peer.server_name();
      peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    };
  }
  void expect_refused(const HttpResult& result, const std::string& why) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().phase, HttpError::Phase::not_sent);
    EXPECT_THAT(result.error().message, HasSubstr(why));
    EXPECT_EQ(requests_, 0);
  }

  TempDir dir_;
  TestAuthority authority_{"batchd test authority"};
  asio::io_context io_;
  std::atomic<int> requests_{0};
  std::string asked_for_;
  std::string seen_;
};

TEST_F(HttpTlsTest, TrustsACertificateOfTheGivenAuthorityAndNamesTheHost) {
  const ScriptedServer server(answer_ok(), authority_.issue("localhost"));
  const HttpResult result = get(server);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(seen_, "hi");
  EXPECT_EQ(asked_for_, "localhost");
}

TEST_F(HttpTlsTest, TrustsACertificateForAnAddress) {
  const ScriptedServer server(answer_ok(), authority_.issue("IP:127.0.0.1"));
  EXPECT_TRUE(get(server, "127.0.0.1"));
}

TEST_F(HttpTlsTest, RefusesACertificateOfAnotherAuthority) {
  const ScriptedServer server(answer_ok(), authority_.issue("localhost"));
  const TestAuthority other("somebody else");
  expect_refused(get(server, "localhost", other.pem()), "certificate refused");
}

TEST_F(HttpTlsTest, RefusesACertificateForAnotherHost) {
  const ScriptedServer server(answer_ok(), authority_.issue("other.example"));
  expect_refused(get(server), "hostname mismatch");
}

TEST_F(HttpTlsTest, RefusesAnExpiredCertificate) {
  const ScriptedServer server(answer_ok(), authority_.issue("localhost", -1));
  expect_refused(get(server), "certificate has expired");
}

TEST_F(HttpTlsTest, SpeaksNothingOlderThanTls12) {
  ScriptedServer server(answer_ok(), authority_.issue("localhost"), TLS1_1_VERSION);
  expect_refused(get(server), "TLS handshake");
  EXPECT_EQ(SSL_CTX_get_min_proto_version(make_tls_context({}).native_handle()), TLS1_2_VERSION) << "whatever the system allows";
}

class ClientCertificateTest : public HttpTlsTest {
 protected:
  std::string problem_with(const std::string& certificate, const std::string& key) {
    try {
      make_tls_context({"", dir_.write("client.pem", certificate), dir_.write("client-key.pem", key)});
      return "";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
  Certificate mine_ = authority_.issue("client.example");
};

TEST_F(ClientCertificateTest, AndItsKeyBelongTogether) {
  EXPECT_EQ(problem_with(mine_.pem, mine_.key_pem), "");
  EXPECT_THAT(problem_with(mine_.pem, authority_.issue("client.example").key_pem), HasSubstr("client-key.pem' does not belong"));
}

TEST_F(ClientCertificateTest, ThatCannotBeReadIsNamed) {
  EXPECT_THAT(problem_with("rubbish", mine_.key_pem), HasSubstr("client.pem' holds no readable PEM certificate"));
  EXPECT_THAT(problem_with(mine_.pem, "rubbish"), HasSubstr("client-key.pem' holds no readable PEM key"));
  EXPECT_THAT(problem_with(mine_.pem, locked(mine_.key_pem)), HasSubstr("without a passphrase"));
}

TEST_F(HttpTlsTest, SpeaksNoPlainTextToATlsServerAndNoTlsToAPlainOne) {
  const ScriptedServer plain([](Peer& peer, int) {
    peer.read(1);
    peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  expect_refused(get(plain), "TLS handshake");
}

TEST_F(HttpTlsTest, TakesABodyThatEndsByAProperEndOfTls) {
  const auto script = [](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
    peer.close_notify();
  };
  const ScriptedServer server(script, authority_.issue("localhost"));
  const HttpResult result = get(server);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(seen_, "abc");
}

TEST_F(HttpTlsTest, ReportsABodyThatSomebodyOnTheWayCouldHaveCut) {
  const auto script = [](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
  };
  const ScriptedServer server(script, authority_.issue("localhost"));
  const HttpResult result = get(server);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("cut after 3 bytes"));
}

TEST_F(HttpTlsTest, NamesAnAuthorityFileThatCannotBeUsed) {
  HttpClientOptions options;
  options.tls.ca_file = dir_.write("bad.pem", "not a certificate");
  try {
    const HttpClient client(*parse_endpoint("https://localhost"), options);
    FAIL() << "accepted";
  } catch (const std::runtime_error& e) {
    EXPECT_THAT(e.what(), HasSubstr("bad.pem"));
  }
}

TEST_F(HttpTlsTest, KeepsATlsConnectionForTheNextRequest) {
  const auto script = [](Peer& peer, int) {
    while (!peer.read_request().empty()) peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  };
  const ScriptedServer server(script, authority_.issue("localhost"));
  HttpClientOptions options;
  options.tls.ca_file = dir_.write("ca.pem", authority_.pem());
  HttpClient client(*parse_endpoint("https://localhost:" + std::to_string(server.port())), options);
  HttpRequest request;
  request.target = "/";
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(run_task(io_, client.send(request)));
  EXPECT_EQ(server.connections(), 1);
}

}  // namespace
}  // namespace batchd::testing
