#include "runtime/http_transport.hpp"

#include "runtime/http_tunnel.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace batchd {
namespace {

namespace beast = boost::beast;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;
constexpr auto with_code = asio::as_tuple(asio::use_awaitable);

void throw_if_cancelled(const error_code& ec) {
  if (ec == asio::error::operation_aborted) throw boost::system::system_error(ec);
}

milliseconds left_until(SteadyTime deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::max(left, milliseconds(1));
}

template <class Stream>
class StreamTransport final : public HttpTransport {
 public:
  template <class... Args>
  explicit StreamTransport(Args&&... args) : stream_(std::forward<Args>(args)...) {}

  Task<ReadResult> read_some(char* into, std::size_t size, milliseconds patience) override {
    beast::get_lowest_layer(stream_).expires_after(patience);
    auto [ec, count] = co_await stream_.async_read_some(asio::buffer(into, size), with_code);
    throw_if_cancelled(ec);
    co_return ReadResult{ec, count};
  }

  Task<error_code> write(std::string_view bytes, milliseconds patience) override {
    beast::get_lowest_layer(stream_).expires_after(patience);
    auto [ec, count] = co_await asio::async_write(stream_, asio::buffer(bytes), with_code);
    throw_if_cancelled(ec);
    co_return ec;
  }

  bool quiet() override {
    char byte = 0;
    const auto got = ::recv(beast::get_lowest_layer(stream_).socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  Stream& stream() { return stream_; }

 private:
  Stream stream_;
};

using PlainTransport = StreamTransport<beast::tcp_stream>;
using TlsTransport = StreamTransport<ssl::stream<beast::tcp_stream>>;
using TlsInTlsTransport = StreamTransport<ssl::stream<ssl::stream<beast::tcp_stream>>>;

struct Resolution {
  explicit Resolution(const asio::any_io_executor& loop) : resolver(loop), done(loop, SteadyTime::max()) {}
  tcp::resolver resolver;
  asio::steady_timer done;
  error_code ec = asio::error::timed_out;
  std::vector<tcp::endpoint> found;
};

/// getaddrinfo cannot be interrupted, so the wait is for a timer that its callback cuts short: a time-out or a
/// cancellation leaves at once, and the callback finds the shared state still alive whenever it comes.
Task<std::shared_ptr<Resolution>> resolve(const std::string& host, const std::string& port, SteadyTime deadline) {
  auto state = std::make_shared<Resolution>(co_await asio::this_coro::executor);
  state->done.expires_at(deadline);
  state->resolver.async_resolve(host, port, [state](const error_code& ec, const tcp::resolver::results_type& results) {
    state->ec = ec;
    state->found.assign(results.begin(), results.end());
    state->done.expires_at(SteadyTime::min());
  });
  co_await state->done.async_wait(with_code);
  const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
  if (cancelled != asio::cancellation_type::none) throw boost::system::system_error(asio::error::operation_aborted);
  co_return state;
}

/// Tries the addresses in turn, each with its share of the time that is left, so that one black hole does not use it all.
Task<error_code> connect_any(beast::tcp_stream& stream, const std::vector<tcp::endpoint>& addresses, SteadyTime deadline) {
  error_code ec = asio::error::host_not_found;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    stream.close();
    stream.expires_after(left_until(deadline) / static_cast<int>(addresses.size() - i));
    std::tie(ec) = co_await stream.async_connect(addresses[i], with_code);
    throw_if_cancelled(ec);
    if (!ec) {
      error_code ignored;
      stream.socket().set_option(tcp::no_delay(true), ignored);
      stream.socket().set_option(asio::socket_base::keep_alive(true), ignored);
      break;
    }
  }
  co_return ec;
}

std::string describe_handshake(SSL* native, const error_code& ec, const std::string& host) {
  const long verdict = SSL_get_verify_result(native);
  if (verdict != X509_V_OK) return std::string("certificate refused: ") + X509_verify_cert_error_string(verdict);
  if (ec.category() == asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return "certificate refused: it is not for host '" + host + "'";
  }
  return describe_io_error(ec);
}

/// The name check keeps OpenSSL informed of its verdict, which asio's own functor does not: the message above depends on it.
struct CheckHostName {
  ssl::host_name_verification check;
  bool operator()(bool preverified, ssl::verify_context& context) const {
    if (check(preverified, context)) return true;
    if (preverified) X509_STORE_CTX_set_error(context.native_handle(), X509_V_ERR_HOSTNAME_MISMATCH);
    return false;
  }
};

/// As a client of `host`, whoever it is that the stream leads to. Returns "" or why it failed.
template <class Stream>
Task<std::string> shake_hands(Stream& stream, const std::string& host, SteadyTime deadline) {
  error_code not_an_address;
  asio::ip::make_address(host, not_an_address);
  if (not_an_address) SSL_set_tlsext_host_name(stream.native_handle(), host.c_str());  // SNI takes names only
  stream.set_verify_callback(CheckHostName{ssl::host_name_verification(host)});
  beast::get_lowest_layer(stream).expires_after(left_until(deadline));
  auto [ec] = co_await stream.async_handshake(ssl::stream_base::client, with_code);
  throw_if_cancelled(ec);
  co_return ec ? describe_handshake(stream.native_handle(), ec, host) : std::string();
}

/// The transport, once the endpoint has proved that it is the one.
template <class Transport>
Task<ConnectResult> with_hands_shaken(std::unique_ptr<Transport> transport, const Endpoint& endpoint, SteadyTime deadline) {
  const std::string failure = co_await shake_hands(transport->stream(), endpoint.host, deadline);
  if (failure.empty()) co_return ConnectResult{std::move(transport), ""};
  co_return ConnectResult{nullptr, "TLS handshake with " + endpoint.authority() + " failed: " + failure};
}

/// TLS to the endpoint inside of a tunnel, inside of TLS to the proxy when that wants it. An endpoint without TLS is on this
/// machine, where no proxy is used.
Task<ConnectResult> connect_through(beast::tcp_stream stream, const ProxyRoute& route, const Endpoint& endpoint,
                                    ssl::context& tls, SteadyTime deadline) {
  stream.expires_after(left_until(deadline));
  if (route.proxy.scheme == "http") {
    std::string refusal = co_await open_tunnel(stream, route.proxy, route.credentials, endpoint);
    if (!refusal.empty()) co_return ConnectResult{nullptr, std::move(refusal)};
    auto transport = std::make_unique<TlsTransport>(std::move(stream), tls);
    co_return co_await with_hands_shaken(std::move(transport), endpoint, deadline);
  }
  ssl::stream<beast::tcp_stream> outer(std::move(stream), *route.tls);
  const std::string failure = co_await shake_hands(outer, route.proxy.host, deadline);
  if (!failure.empty()) {
    co_return ConnectResult{nullptr, "TLS handshake with proxy " + route.proxy.shown() + " failed: " + failure};
  }
  std::string refusal = co_await open_tunnel(outer, route.proxy, route.credentials, endpoint);
  if (!refusal.empty()) co_return ConnectResult{nullptr, std::move(refusal)};
  auto transport = std::make_unique<TlsInTlsTransport>(std::move(outer), tls);
  co_return co_await with_hands_shaken(std::move(transport), endpoint, deadline);
}

}  // namespace

Task<ConnectResult> connect_transport(const Endpoint& endpoint, asio::ssl::context& tls, const ProxyRoute* route,
                                      milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const std::string host = route ? route->proxy.host : endpoint.host;
  const std::string port = route ? route->proxy.port : endpoint.port;
  const std::string whom = route ? "proxy " + route->proxy.shown() : endpoint.authority();
  const auto resolution = co_await resolve(host, port, deadline);
  if (resolution->ec) {
    const std::string name = route ? whom : "'" + host + "'";
    co_return ConnectResult{nullptr, "cannot resolve " + name + ": " + describe_io_error(resolution->ec)};
  }
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  if (const error_code ec = co_await connect_any(stream, resolution->found, deadline)) {
    co_return ConnectResult{nullptr, "cannot connect to " + whom + ": " + describe_io_error(ec)};
  }
  if (route) co_return co_await connect_through(std::move(stream), *route, endpoint, tls, deadline);
  if (endpoint.scheme == "http") co_return ConnectResult{std::make_unique<PlainTransport>(std::move(stream)), ""};
  auto transport = std::make_unique<TlsTransport>(std::move(stream), tls);
  co_return co_await with_hands_shaken(std::move(transport), endpoint, deadline);
}

std::string describe_io_error(const error_code& ec) {
  if (ec == beast::error::timeout || ec == asio::error::timed_out) return "timed out";
  if (ec == asio::error::eof || ec == ssl::error::stream_truncated) return "the peer closed the connection";
  return ec.message();
}

}  // namespace batchd
