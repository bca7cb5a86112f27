#include "http_client_fixture.hpp"

#include "runtime/clock.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;

TEST_F(HttpClientTest, StreamsADownloadInPiecesOfBoundedSize) {
  const std::string body(1'000'000, 'b');
  const ScriptedServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + body);
  });
  std::string seen;
  std::size_t largest = 0;
  const DownloadSink sink = [&](std::string_view bytes) -> Task<void> {
    largest = std::max(largest, bytes.size());
    seen += bytes;
    co_return;
  };
  const HttpResult result = run_task(io_, client_for(server).download(request("GET"), sink));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->body_bytes, 1'000'000u);
  EXPECT_EQ(result->body, "");
  EXPECT_TRUE(seen == body);
  EXPECT_LE(largest, 128u * 1024);
}

TEST_F(HttpClientTest, KeepsTheBodyOfARefusedDownloadFromTheSink) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 404 Not Found\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'e'));
  });
  std::string seen;
  const HttpResult result = download(client_for(server), seen);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->status, 404);
  EXPECT_EQ(result->body.size(), 64u * 1024);
  EXPECT_EQ(seen, "");
}

TEST_F(HttpClientTest, ReadsNoFasterThanTheSinkTakes) {
  std::atomic<std::uint64_t> sent{0};
  constexpr std::uint64_t whole = 200'000'000;
  const ScriptedServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(whole) + "\r\n\r\n");
    const std::string piece(100'000, 'x');
    while (sent < whole && peer.write(piece)) sent += piece.size();
  });
  std::uint64_t sent_while_held = 0;
  bool held = false;
  const DownloadSink sink = [&](std::string_view) -> Task<void> {
    if (std::exchange(held, true)) co_return;
    // Hold the first piece until the server stands still: what it could send is what the sockets' buffers take.
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (std::uint64_t before = ~0ULL; before != sent;) {
      before = sent;
      timer.expires_after(100ms);
      co_await timer.async_wait(asio::use_awaitable);
    }
    sent_while_held = sent;
  };
  const HttpResult result = run_task(io_, client_for(server).download(request("GET"), sink));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_LT(sent_while_held, whole / 4);
  EXPECT_EQ(result->body_bytes, whole);
}

TEST_F(HttpClientTest, LetsTheSinkEndACall) {
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  });
  const DownloadSink sink = [](std::string_view) -> Task<void> {
    throw std::runtime_error("disk full");
    co_return;
  };
  HttpClient& client = client_for(server);
  EXPECT_THROW(run_task(io_, client.download(request("GET"), sink)), std::runtime_error);
}

TEST_F(HttpClientTest, CancelsACallAndClosesItsConnection) {
  std::atomic<bool> asked{false};
  std::atomic<bool> hung_up{false};
  const ScriptedServer server([&](Peer& peer, int) {
    peer.read_request();
    asked = true;
    hung_up = peer.read(1).empty();
  });
  HttpClient& client = client_for(server);
  asio::cancellation_signal stop;
  std::exception_ptr failure;
  bool ended = false;
  asio::co_spawn(io_, client.send(request("POST", "{}")),
                 asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr f, const HttpResult&) {
                   failure = f;
                   ended = true;
                 }));
  ASSERT_TRUE(eventually([&] {
    io_.poll();
    return asked.load();
  }));
  stop.emit(asio::cancellation_type::terminal);
  ASSERT_TRUE(eventually([&] {
    io_.poll();
    return ended;
  }));
  ASSERT_TRUE(failure);
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& e) {
    EXPECT_EQ(e.code(), asio::error::operation_aborted);
  }
  EXPECT_TRUE(eventually([&] { return hung_up.load(); }));
}

}  // namespace
}  // namespace batchd::testing
