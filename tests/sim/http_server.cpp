#include "http_server.hpp"

#include "settings.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace sim {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::use_awaitable;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr auto idle_limit = std::chrono::seconds(300);
constexpr std::size_t piece = 128 * 1024;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if ((c | 32) >= 'a' && (c | 32) <= 'f') return (c | 32) - 'a' + 10;
  return -1;
}

std::string decoded(std::string_view text, bool plus_is_blank) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (escape) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

void split_target(std::string_view target, RequestHead& head) {
  const auto mark = std::min(target.find('?'), target.size());
  head.path = decoded(target.substr(0, mark), false);
  head.query = parse_form(target.substr(std::min(mark + 1, target.size())));
}

RequestHead head_of(const http::request_header<>& message, std::optional<std::uint64_t> length) {
  RequestHead head;
  head.method = message.method_string();
  split_target(message.target(), head);
  head.host = message[http::field::host];
  head.authorization = message[http::field::authorization];
  head.api_key = message["api-key"];
  head.content_type = message[http::field::content_type];
  head.accept = message[http::field::accept];
  head.metadata = message["Metadata"];
  head.content_length = length;
  return head;
}

std::string reply_head(const Reply& reply, std::uint64_t length, bool keep_alive) {
  std::string head = "HTTP/1.1 " + std::to_string(reply.status) + ' ' +
                     std::string(http::obsolete_reason(static_cast<http::status>(reply.status)));
  head += "\r\nDate: " + http_date(now());
  head += "\r\nContent-Type: " + reply.content_type + "\r\nContent-Length: " + std::to_string(length) + "\r\n";
  for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
  if (!keep_alive) head += "Connection: close\r\n";
  return head + "\r\n";
}

template <class Stream>
class Session final : public BodyReader {
 public:
  Session(Stream stream, Service& service) : stream_(std::move(stream)), service_(service) {
    buffer_.max_size(1024 * 1024);
    buffer_.reserve(16 * 1024);  // what is read at once is what fits
  }

  Task<void> run() {
    try {
      if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
        socket().expires_after(idle_limit);
        co_await stream_.async_handshake(asio::ssl::stream_base::server, use_awaitable);
      }
      while (co_await one_exchange()) {
      }
      co_await close();
    } catch (const boost::system::system_error&) {
      // The client left, or sent what is not HTTP: there is nobody to tell.
    }
  }

  Task<std::size_t> read(std::span<char> into) override {
    if (body_done()) co_return 0;
    if (continue_expected_) {
      continue_expected_ = false;
      co_await write("HTTP/1.1 100 Continue\r\n\r\n");
    }
    // Not one conditional expression: g++ 12 miscompiles co_await in its branches.
    if (parser_->chunked()) co_return co_await read_chunked(into);
    co_return co_await read_plain(into);
  }

 private:
  /// False when the connection is to be closed.
  Task<bool> one_exchange() {
    parser_.emplace();
    parser_->header_limit(32 * 1024);
    parser_->body_limit(boost::none);
    socket().expires_after(idle_limit);
    co_await http::async_read_header(stream_, buffer_, *parser_, use_awaitable);
    const auto& message = parser_->get();
    const bool keep_alive = message.keep_alive();
    continue_expected_ = beast::iequals(message[http::field::expect], "100-continue");
    std::optional<std::uint64_t> length;
    if (parser_->content_length()) length = *parser_->content_length();
    body_left_ = length.value_or(0);
    const RequestHead head = head_of(message, length);
    Reply reply = co_await service_.serve(head, *this);
    if (reply.delivery.reset) co_return reset();
    if (reply.delivery.hang) co_return co_await hang();
    if (reply.delivery.half_open) co_return co_await fall_silent();
    const bool drained = co_await drain();
    const bool complete = co_await send(reply, keep_alive && drained, head.method == "HEAD");
    co_return complete&& keep_alive&& drained;
  }

  bool body_done() const { return parser_->chunked() ? parser_->is_done() : body_left_ == 0; }

  /// A body of known length goes straight from the socket to whoever reads it, some twice as fast as by the parser.
  Task<std::size_t> read_plain(std::span<char> into) {
    const asio::mutable_buffer space(into.data(), std::min<std::uint64_t>(into.size(), body_left_));
    std::size_t got = asio::buffer_copy(space, buffer_.data());
    buffer_.consume(got);
    if (got == 0) {
      socket().expires_after(idle_limit);
      got = co_await stream_.async_read_some(space, use_awaitable);
    }
    body_left_ -= got;
    co_return got;
  }

  Task<std::size_t> read_chunked(std::span<char> into) {
    auto& body = parser_->get().body();
    std::size_t got = 0;
    while (got == 0 && !parser_->is_done()) {
      body.data = into.data();
      body.size = into.size();
      error_code error;
      socket().expires_after(idle_limit);
      co_await http::async_read_some(stream_, buffer_, *parser_, asio::redirect_error(use_awaitable, error));
      if (error && error != http::error::need_buffer) throw boost::system::system_error(error);
      got = into.size() - body.size;
    }
    co_return got;
  }

  /// Reads what the service left of the body, so that the client sees the reply and not a reset. A client that waits
  /// for "100 Continue" will not send it.
  Task<bool> drain() {
    if (continue_expected_ && !body_done()) co_return false;
    std::array<char, 16 * 1024> scrap;
    const std::span<char> into(scrap);
    while (co_await read(into) != 0) {
    }
    co_return true;
  }

  Task<bool> send(Reply& reply, bool keep_alive, bool head_only) {
    const auto& delivery = reply.delivery;
    co_await pause(delivery.before);
    const std::uint64_t whole = reply.source ? reply.source->size() : reply.body.size();
    const bool partial = delivery.cut || delivery.shorten || delivery.stall;
    const std::uint64_t sent = partial ? std::min(delivery.at.value_or(whole / 2), whole) : whole;
    std::string bytes = reply_head(reply, delivery.shorten ? sent : whole, keep_alive);
    std::uint64_t left = head_only ? 0 : sent;
    if (!reply.source) bytes.append(reply.body, 0, left);
    if (!reply.source) left = 0;
    for (;;) {
      if (reply.source && left > 0) left -= fill(*reply.source, bytes, left);
      co_await write(bytes);
      if (left == 0) break;
      bytes.clear();
      co_await pause(delivery.between);
    }
    if (delivery.cut) co_return reset();
    if (delivery.stall) co_return co_await hang();
    co_return true;
  }

  /// Appends at most `most` bytes of the source.
  static std::uint64_t fill(BodySource& source, std::string& bytes, std::uint64_t most) {
    const std::size_t before = bytes.size();
    while (bytes.size() - before < std::min<std::uint64_t>(piece, most)) {
      const std::size_t already = bytes.size();
      source.next(bytes);
      if (bytes.size() == already) break;
    }
    if (bytes.size() == before) throw boost::system::system_error(http::error::partial_message);
    if (bytes.size() - before > most) bytes.resize(before + most);
    return bytes.size() - before;
  }

  Task<void> write(std::string_view bytes) {
    socket().expires_after(idle_limit);
    const asio::const_buffer buffer(bytes.data(), bytes.size());
    co_await asio::async_write(stream_, buffer, use_awaitable);
  }

  static Task<void> pause(Milliseconds time) {
    if (time.count() == 0) co_return;
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(use_awaitable);
  }

  /// A reset that the client sees as such: no FIN, and what was not sent is thrown away.
  bool reset() {
    error_code ignored;
    socket().socket().set_option(asio::socket_base::linger(true, 0), ignored);
    socket().socket().close(ignored);
    return false;
  }

  /// Until the client gives up.
  Task<bool> hang() {
    std::array<char, 1024> scrap;
    const asio::mutable_buffer into(scrap.data(), scrap.size());
    socket().expires_never();
    for (error_code error; !error;) co_await socket().async_read_some(into, asio::redirect_error(use_awaitable, error));
    co_return false;
  }

  /// Neither reads nor writes, and does not notice when the client leaves; ends long after every client has given up.
  Task<bool> fall_silent() {
    co_await pause(std::chrono::hours(1));
    co_return false;
  }

  Task<void> close() {
    if (!socket().socket().is_open()) co_return;
    if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
      error_code ignored;
      socket().expires_after(std::chrono::seconds(2));
      co_await stream_.async_shutdown(asio::redirect_error(use_awaitable, ignored));
    }
    error_code ignored;
    socket().socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  beast::tcp_stream& socket() { return beast::get_lowest_layer(stream_); }

  Stream stream_;
  Service& service_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::buffer_body>> parser_;
  std::uint64_t body_left_ = 0;  ///< of a body whose length is known
  bool continue_expected_ = false;
};

template <class Stream>
Task<void> serve_connection(Stream stream, Service& service) {
  Session<Stream> session(std::move(stream), service);
  co_await session.run();
}

}  // namespace

std::map<std::string, std::string> parse_form(std::string_view text) {
  std::map<std::string, std::string> out;
  while (!text.empty()) {
    const auto pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    const auto equals = std::min(pair.find('='), pair.size());
    if (!pair.empty()) out[decoded(pair.substr(0, equals), true)] = decoded(pair.substr(std::min(equals + 1, pair.size())), true);
  }
  return out;
}

struct HttpServer::Impl {
  asio::io_context& loop;
  Service& service;
  std::shared_ptr<asio::ssl::context> tls;
  tcp::acceptor acceptor;

  Task<void> accept_all() {
    for (;;) {
      error_code error;
      tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // out of descriptors, most likely: let some connections end
        asio::steady_timer timer(loop, Milliseconds(50));
        co_await timer.async_wait(use_awaitable);
        continue;
      }
      socket.set_option(tcp::no_delay(true), error);
      beast::tcp_stream stream(std::move(socket));
      if (tls) {
        asio::co_spawn(loop, serve_connection(beast::ssl_stream<beast::tcp_stream>(std::move(stream), *tls), service),
                       asio::detached);
      } else {
        asio::co_spawn(loop, serve_connection(std::move(stream), service), asio::detached);
      }
    }
  }
};

HttpServer::HttpServer(asio::io_context& loop, Service& service, const std::string& address, std::uint16_t port,
                       std::shared_ptr<asio::ssl::context> tls)
    : impl_(new Impl{loop, service, std::move(tls), tcp::acceptor(loop)}) {
  const tcp::endpoint endpoint(asio::ip::make_address(address), port);
  impl_->acceptor.open(endpoint.protocol());
  impl_->acceptor.set_option(tcp::acceptor::reuse_address(true));
  impl_->acceptor.bind(endpoint);
  impl_->acceptor.listen();
}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const {
  return impl_->acceptor.local_endpoint().port();
}

void HttpServer::start() {
  asio::co_spawn(impl_->loop, impl_->accept_all(), asio::detached);
}

}  // namespace sim
