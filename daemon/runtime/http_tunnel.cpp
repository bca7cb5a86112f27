#include "runtime/http_tunnel.hpp"

#include "runtime/http_transport.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <openssl/evp.h>

namespace batchd {
namespace {

namespace http = boost::beast::http;
constexpr auto and_code = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t max_proxy_header = 32 * 1024;
constexpr unsigned refused_for_credentials = 407;

std::string base64(const std::string& text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');  // and the null character that OpenSSL ends it with
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

http::request<http::empty_body> connect_request(const Endpoint& origin, const std::string& credentials) {
  const bool address = origin.host.find(':') != std::string::npos;
  const std::string place = (address ? "[" + origin.host + "]" : origin.host) + ":" + origin.port;
  http::request<http::empty_body> request(http::verb::connect, place, 11);
  request.set(http::field::host, place);
  if (!credentials.empty()) request.set(http::field::proxy_authorization, "Basic " + base64(credentials));
  return request;
}

std::string describe_refusal(unsigned status, std::string_view reason, bool with_credentials) {
  std::string out = "HTTP " + std::to_string(status);
  if (!reason.empty()) out.append(" ").append(reason);
  if (status == refused_for_credentials)
    out += with_credentials ? " (it does not take the credentials)" : " (it wants credentials)";
  return out;
}

}  // namespace

template <class Stream>
Task<std::string> open_tunnel(Stream& stream, const Proxy& proxy, const std::string& credentials, const Endpoint& origin) {
  const std::string failed = "proxy " + proxy.shown() + " gives no connection to " + origin.authority() + ": ";
  const auto request = connect_request(origin, credentials);
  auto [write_error, written] = co_await http::async_write(stream, request, and_code);
  if (write_error == asio::error::operation_aborted) throw boost::system::system_error(write_error);
  if (write_error) co_return failed + describe_io_error(write_error);
  boost::beast::flat_buffer buffer(max_proxy_header);
  http::response_parser<http::empty_body> parser;
  parser.header_limit(max_proxy_header);
  parser.skip(true);  // what a proxy says beside its status is a page for people
  auto [read_error, read] = co_await http::async_read_header(stream, buffer, parser, and_code);
  if (read_error == asio::error::operation_aborted) throw boost::system::system_error(read_error);
  if (read_error) co_return failed + describe_io_error(read_error);
  const unsigned status = parser.get().result_int();
  if (status / 100 != 2) {
    const auto reason = parser.get().reason();
    co_return failed + describe_refusal(status, {reason.data(), reason.size()}, !credentials.empty());
  }
  // An origin waits to be spoken to: whatever comes now is not from there.
  if (buffer.size() > 0) co_return failed + "it says something of its own where the origin's answer belongs";
  co_return "";
}

template Task<std::string> open_tunnel(boost::beast::tcp_stream&, const Proxy&, const std::string&, const Endpoint&);
template Task<std::string> open_tunnel(asio::ssl::stream<boost::beast::tcp_stream>&, const Proxy&, const std::string&,
                                       const Endpoint&);

}  // namespace batchd
