#include "runtime/http_server.hpp"
#include "runtime/router.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>
#include <utility>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A blocking client that shows every byte.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(io_) { socket_.connect({asio::ip::address_v4::loopback(), port}); }
  void send(std::string_view bytes) {
    boost::system::error_code ignored;
    asio::write(socket_, asio::buffer(bytes), ignored);
  }
  /// Everything until the server closes.
  std::string read_all() {
    boost::system::error_code ec;
    while (!ec) fill(ec);
    return std::exchange(buffer_, "");
  }
  /// One answer, by its Content-Length; only the header when `head`.
  std::string read_answer(bool head = false) {
    boost::system::error_code ec;
    while (!ec && buffer_.find("\r\n\r\n") == std::string::npos) fill(ec);
    auto size = buffer_.find("\r\n\r\n") + 4;
    if (const auto at = buffer_.find("Content-Length: "); !head && at < size) size += std::stoul(buffer_.substr(at + 16, 12));
    while (!ec && buffer_.size() < size) fill(ec);
    std::string answer = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return answer;
  }

 private:
  void fill(boost::system::error_code& ec) {
    char piece[4096];
    buffer_.append(piece, socket_.read_some(asio::buffer(piece), ec));
  }
  asio::io_context io_;
  tcp::socket socket_;
  std::string buffer_;
};

/// A server on a loop and thread of its own; stopped as the daemon stops it.
class RunningServer {
 public:
  explicit RunningServer(ServerHandler handler, HttpServerOptions options = {})
      : server_(io_.get_executor(), "127.0.0.1:0", std::move(handler), std::move(options)) {
    asio::co_spawn(io_, server_.run(),
                   asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr failure) { failure_ = failure; }));
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RunningServer() { stop(); }

  std::uint16_t port() const { return server_.port(); }
  std::string ask(std::string_view request) const {
    RawClient client(port());
    client.send(request);
    return client.read_answer();
  }
  /// Returns what run() ended with.
  std::exception_ptr stop() {
    if (thread_.joinable()) {
      asio::post(io_, [this] { stop_.emit(asio::cancellation_type::terminal); });
      thread_.join();
    }
    return failure_;
  }

 private:
  asio::io_context io_;
  asio::cancellation_signal stop_;
  HttpServer server_;
  std::exception_ptr failure_;
  std::thread thread_;
};

Task<ServerResponse> echo(const ServerRequest& request) {
  ServerResponse response;
  response.body = request.method + " " + request.path + "|" + request.query + "|" + request.body;
  co_return response;
}

TEST(HttpServer, GivesTheHandlerTheRequestInParts) {
  const RunningServer server(echo);
  const std::string answer = server.ask("POST /a/b?c=d&e HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nPOST /a/b|c=d&e|xyz"));
}

TEST(HttpServer, ServesSeveralRequestsOnOneConnectionEvenSentAhead) {
  const RunningServer server(echo);
  RawClient client(server.port());
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_answer(), EndsWith("GET /1||"));
  EXPECT_THAT(client.read_answer(), EndsWith("GET /2||"));
}

TEST(HttpServer, ClosesWhenAskedTo) {
  const RunningServer server(echo);
  RawClient client(server.port());
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.read_all(), HasSubstr("Connection: close\r\n"));
}

TEST(HttpServer, MeasuresTheBodyOfAHeadButDoesNotSendIt) {
  const RunningServer server(echo);
  RawClient client(server.port());
  client.send("HEAD /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.read_answer(true);
  EXPECT_THAT(head, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  EXPECT_THAT(client.read_answer(), EndsWith("GET /2||"));
}

TEST(HttpServer, AnswersUnreadableRequestsInKind) {
  const RunningServer server(echo);
  EXPECT_THAT(server.ask("NONSENSE\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(server.ask("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"), StartsWith("HTTP/1.1 431 "));
  const std::string large(1024 * 1024 + 1, 'x');
  EXPECT_THAT(server.ask("POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n" + large), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(server.ask("GET /still HTTP/1.1\r\n\r\n"), EndsWith("GET /still||"));
}

TEST(HttpServer, TellsAClientThatWaitsForItToGoOn) {
  const RunningServer server(echo);
  RawClient client(server.port());
  client.send("POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_answer(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_THAT(client.read_answer(), EndsWith("POST /p||ok"));
}

TEST(HttpServer, AnswersFiveHundredWhenAHandlerThrowsAndTellsTheOwnerWhy) {
  std::string told;
  HttpServerOptions options;
  options.on_error = [&told](const ServerRequest& request, const std::string& what) { told = request.path + ": " + what; };
  const auto handler = [](const ServerRequest&) -> Task<ServerResponse> {
    throw std::runtime_error("the secret reason");
    co_return ServerResponse{};
  };
  RunningServer server(handler, options);
  const std::string answer = server.ask("GET /x HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(answer, EndsWith("internal error\n"));
  server.stop();
  EXPECT_EQ(told, "/x: the secret reason");
}

TEST(HttpServer, TurnsAwayMoreConnectionsThanItsLimit) {
  HttpServerOptions options;
  options.max_connections = 2;
  const RunningServer server(echo, options);
  RawClient first(server.port());
  RawClient second(server.port());
  first.send("GET /1 HTTP/1.1\r\n\r\n");
  second.send("GET /2 HTTP/1.1\r\n\r\n");
  first.read_answer();
  second.read_answer();
  RawClient third(server.port());
  EXPECT_THAT(third.read_all(), StartsWith("HTTP/1.1 503 "));
}

TEST(HttpServer, ClosesIdleConnections) {
  HttpServerOptions options;
  options.idle_timeout = 50ms;
  const RunningServer server(echo, options);
  RawClient silent(server.port());
  EXPECT_EQ(silent.read_all(), "");
  RawClient slow(server.port());
  slow.send("GET / HT");
  EXPECT_EQ(slow.read_all(), "");
}

TEST(HttpServer, EndsWithEveryConnectionClosedWhenCancelled) {
  std::promise<void> entered;
  const auto handler = [&entered](const ServerRequest&) -> Task<ServerResponse> {
    asio::steady_timer forever(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    entered.set_value();
    co_await forever.async_wait(asio::use_awaitable);
    co_return ServerResponse{};
  };
  RunningServer server(handler);
  RawClient idle(server.port());
  RawClient busy(server.port());
  busy.send("GET / HTTP/1.1\r\n\r\n");
  entered.get_future().wait();
  const std::exception_ptr failure = server.stop();
  ASSERT_TRUE(failure);
  EXPECT_THROW(std::rethrow_exception(failure), boost::system::system_error);
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_EQ(busy.read_all(), "");
}

TEST(HttpServer, SaysWhatItCannotListenOn) {
  asio::io_context io;
  const auto problem_with = [&io](const std::string& listen) -> std::string {
    try {
      const HttpServer server(io.get_executor(), listen, echo);
      return "";
    } catch (const std::runtime_error& e) {
      return e.what();
    }
  };
  EXPECT_EQ(problem_with("9464"), "cannot listen on '9464': expected host:port, such as 127.0.0.1:9464");
  EXPECT_THAT(problem_with("192.0.2.1:80"), StartsWith("cannot listen on '192.0.2.1:80': "));
  const HttpServer taken(io.get_executor(), "127.0.0.1:0", echo);
  EXPECT_THAT(problem_with("127.0.0.1:" + std::to_string(taken.port())), HasSubstr("Address already in use"));
  EXPECT_EQ(problem_with("localhost:0"), "");
}

TEST(Router, FindsByMethodAndPathAndRefusesTheRestRightly) {
  Router router;
  router.add("GET", "/metrics", [](const ServerRequest&) -> Task<ServerResponse> { co_return ServerResponse{200, "m"}; });
  router.add("POST", "/metrics", [](const ServerRequest&) -> Task<ServerResponse> { co_return ServerResponse{200, "p"}; });
  router.add("GET", "/api/*", [](const ServerRequest& r) -> Task<ServerResponse> { co_return ServerResponse{200, r.path}; });
  const RunningServer server([&router](const ServerRequest& r) { return router.handle(r); });
  EXPECT_THAT(server.ask("GET /metrics HTTP/1.1\r\n\r\n"), EndsWith("\r\n\r\nm"));
  EXPECT_THAT(server.ask("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), EndsWith("\r\n\r\np"));
  EXPECT_THAT(server.ask("GET /api/v1/x HTTP/1.1\r\n\r\n"), EndsWith("/api/v1/x"));
  EXPECT_THAT(server.ask("GET /metricsx HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  const std::string wrong = server.ask("DELETE /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(wrong, HasSubstr("Allow: GET, HEAD, POST\r\n"));
}

}  // namespace
}  // namespace batchd::testing
