#include "runtime/http_server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <list>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace batchd {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

struct ListenAddress {
  std::string host;
  std::string port;
};

ListenAddress split_listen(const std::string& listen) {
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos || colon + 1 == listen.size()) {
    throw std::runtime_error("cannot listen on '" + listen + "': expected host:port, such as 127.0.0.1:9464");
  }
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {std::move(host), listen.substr(colon + 1)};
}

tcp::acceptor bind_acceptor(const asio::any_io_executor& loop, const std::string& listen) {
  const ListenAddress address = split_listen(listen);
  try {
    tcp::resolver resolver(loop);
    const auto found = resolver.resolve(address.host.empty() ? "0.0.0.0" : address.host, address.port, tcp::resolver::passive);
    return tcp::acceptor(loop, found.begin()->endpoint());  // reuses the address, listens
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error("cannot listen on '" + listen + "': " + e.code().message());
  }
}

/// The answer owed to a request that could not be read; nothing when the connection is simply over.
std::optional<ServerResponse> answer_to_unreadable(error_code ec) {
  if (ec == http::error::header_limit) return ServerResponse{431, "request headers too large\n"};
  if (ec == http::error::body_limit) return ServerResponse{413, "request body too large\n"};
  if (ec == http::error::end_of_stream || ec == http::error::partial_message) return std::nullopt;
  if (ec.category() == http::make_error_code(http::error::bad_method).category())
    return ServerResponse{400, "malformed request\n"};
  return std::nullopt;
}

ServerRequest to_request(http::request<http::string_body>&& message) {
  ServerRequest request;
  request.method = std::string(message.method_string());
  const std::string_view target = message.target();
  const auto question = target.find('?');
  request.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));
  for (const auto& field : message) request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  request.body = std::move(message.body());
  return request;
}

http::response<http::string_body> to_message(ServerResponse response, bool head, bool keep_alive) {
  http::response<http::string_body> message;
  message.version(11);
  message.result(static_cast<unsigned>(response.status));
  message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  const auto size = response.body.size();
  if (!head) message.body() = std::move(response.body);
  message.content_length(size);
  message.keep_alive(keep_alive);
  return message;
}

}  // namespace

struct HttpServer::Impl {
  Impl(asio::any_io_executor executor, const std::string& listen, ServerHandler handle, HttpServerOptions limits)
      : loop(std::move(executor)),
        acceptor(bind_acceptor(loop, listen)),
        handler(std::move(handle)),
        options(std::move(limits)),
        ended(loop) {}

  Task<void> accept_loop();
  void start(tcp::socket socket);
  Task<void> close_all();
  Task<void> serve(tcp::socket socket);
  Task<error_code> read(beast::tcp_stream& stream, beast::flat_buffer& buffer, http::request_parser<http::string_body>& parser);
  Task<ServerResponse> respond(const ServerRequest& request);
  Task<error_code> write(beast::tcp_stream& stream, http::response<http::string_body> message);
  Task<void> drain(beast::tcp_stream& stream);

  struct Connection {
    asio::cancellation_signal stop;
  };
  asio::any_io_executor loop;
  tcp::acceptor acceptor;
  ServerHandler handler;
  HttpServerOptions options;
  std::list<Connection> connections;
  asio::steady_timer ended;  // cancelled whenever a connection is over: a wake-up for close_all
};

Task<void> HttpServer::Impl::accept_loop() {
  asio::steady_timer pause(loop);
  for (;;) {
    auto [ec, socket] = co_await acceptor.async_accept(as_result);
    if (ec == asio::error::operation_aborted) throw boost::system::system_error(ec);
    if (ec) {  // out of descriptors, or a client that left at once: the former needs a moment
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::use_awaitable);
    } else if (connections.size() >= options.max_connections) {
      static constexpr std::string_view busy =
          "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      asio::write(socket, asio::buffer(busy), ec);  // fits a new socket's empty buffer: does not block
    } else {
      start(std::move(socket));
    }
  }
}

void HttpServer::Impl::start(tcp::socket socket) {
  const auto connection = connections.emplace(connections.end());
  asio::co_spawn(loop, serve(std::move(socket)),
                 asio::bind_cancellation_slot(connection->stop.slot(), [this, connection](std::exception_ptr) {
                   connections.erase(connection);  // whatever a connection ends with concerns nobody else
                   ended.cancel();
                 }));
}

Task<void> HttpServer::Impl::close_all() {
  for (auto it = connections.begin(); it != connections.end();) {
    const auto next = std::next(it);  // emitting may end the connection and erase it
    it->stop.emit(asio::cancellation_type::terminal);
    it = next;
  }
  while (!connections.empty()) {
    ended.expires_at(asio::steady_timer::time_point::max());
    co_await ended.async_wait(as_result);
  }
}

Task<void> HttpServer::Impl::serve(tcp::socket socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer;
  for (;;) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(options.max_header_bytes);
    parser.body_limit(options.max_body_bytes);
    if (const error_code ec = co_await read(stream, buffer, parser)) {
      auto refusal = answer_to_unreadable(ec);
      if (!refusal) co_return;
      auto message = to_message(std::move(*refusal), false, false);
      if (!co_await write(stream, std::move(message))) co_await drain(stream);
      co_return;
    }
    const bool keep_alive = parser.get().keep_alive();
    const ServerRequest request = to_request(parser.release());
    stream.expires_never();  // a handler may wait for longer than a client may idle
    ServerResponse response = co_await respond(request);
    auto message = to_message(std::move(response), request.method == "HEAD", keep_alive);
    if (co_await write(stream, std::move(message)) || !keep_alive) break;
  }
  stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
}

Task<error_code> HttpServer::Impl::read(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                                        http::request_parser<http::string_body>& parser) {
  stream.expires_after(options.idle_timeout);
  auto [ec, count] = co_await http::async_read_header(stream, buffer, parser, as_result);
  if (ec) co_return ec;
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    static constexpr std::string_view proceed = "HTTP/1.1 100 Continue\r\n\r\n";
    std::tie(ec, count) = co_await asio::async_write(stream, asio::buffer(proceed), as_result);
    if (ec) co_return ec;
  }
  while (!parser.is_done()) {
    stream.expires_after(options.idle_timeout);
    std::tie(ec, count) = co_await http::async_read_some(stream, buffer, parser, as_result);
    if (ec) co_return ec;
  }
  co_return error_code{};
}

Task<ServerResponse> HttpServer::Impl::respond(const ServerRequest& request) {
  std::exception_ptr failure;
  try {
    co_return co_await handler(request);
  } catch (...) {
    failure = std::current_exception();
  }
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(failure);  // the server is stopping
  std::string what = "unknown exception";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
  }
  if (options.on_error) options.on_error(request, what);
  co_return ServerResponse{500, "internal error\n"};
}

Task<error_code> HttpServer::Impl::write(beast::tcp_stream& stream, http::response<http::string_body> message) {
  stream.expires_after(options.idle_timeout);
  http::response_serializer<http::string_body> serializer(message);
  // For HEAD the body is empty while Content-Length is not: the header alone is the whole message.
  if (message.body().empty()) {
    auto [ec, count] = co_await http::async_write_header(stream, serializer, as_result);
    co_return ec;
  }
  auto [ec, count] = co_await http::async_write(stream, serializer, as_result);
  co_return ec;
}

/// Reads away a little of what a refused client is still sending: closing on unread bytes would reset the connection and
/// could destroy the answer before the client has read it.
Task<void> HttpServer::Impl::drain(beast::tcp_stream& stream) {
  error_code ec;
  stream.socket().shutdown(tcp::socket::shutdown_send, ec);
  std::string scrap(16 * 1024, '\0');
  stream.expires_after(std::chrono::seconds(2));
  for (std::size_t total = 0; !ec && total < 4 * 1024 * 1024;) {
    std::size_t count = 0;
    std::tie(ec, count) = co_await stream.async_read_some(asio::buffer(scrap), as_result);
    total += count;
  }
}

HttpServer::HttpServer(asio::any_io_executor loop, const std::string& listen, ServerHandler handler, HttpServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(loop), listen, std::move(handler), std::move(options))) {}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const {
  return impl_->acceptor.local_endpoint().port();
}

Task<void> HttpServer::run() {
  std::exception_ptr reason;
  try {
    co_await impl_->accept_loop();
  } catch (...) {
    reason = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await impl_->close_all();
  std::rethrow_exception(reason);
}

}  // namespace batchd
