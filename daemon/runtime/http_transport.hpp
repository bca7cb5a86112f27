// One connection to one origin, plain or TLS, as a stream of bytes with time-outs. Owned by the HTTP client, which knows
// the protocol; this knows sockets, certificates and names. TLS peers are always verified, chain and host name.
#pragma once

#include "core/endpoint.hpp"
#include "core/proxy.hpp"
#include "runtime/task.hpp"

#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace batchd {

struct ReadResult {
  boost::system::error_code ec;
  std::size_t count = 0;
};

/// A cancelled task sees operation_aborted thrown by any of these; the connection is useless afterwards and is closed by
/// destroying it.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  /// Reads at least one byte, or says why not: end of file, a reset, beast::error::timeout after `patience` of silence.
  virtual Task<ReadResult> read_some(char* into, std::size_t size, std::chrono::milliseconds patience) = 0;
  /// Writes all of it. After a failure some part may have arrived.
  virtual Task<boost::system::error_code> write(std::string_view bytes, std::chrono::milliseconds patience) = 0;
  /// False when an idle connection has something to read: the peer closed it, or said something nobody asked for.
  virtual bool quiet() = 0;
};

struct ConnectResult {
  std::unique_ptr<HttpTransport> transport;  ///< null when it failed
  std::string error;                         ///< one sentence: which step failed, and why
};

/// The way through a proxy, when there is one.
struct ProxyRoute {
  Proxy proxy;
  std::string credentials;  ///< `user:password`, "" for none
  asio::ssl::context* tls;  ///< for a proxy that is itself spoken to over TLS
};

/// Resolves, connects (each address in turn), has a tunnel opened where `route` is not null, and shakes hands with the endpoint
/// itself, all within `patience`. No byte of any request is sent.
Task<ConnectResult> connect_transport(const Endpoint& endpoint, asio::ssl::context& tls, const ProxyRoute* route,
                                      std::chrono::milliseconds patience);

/// An error code in words for people: "timed out", "connection reset by peer".
std::string describe_io_error(const boost::system::error_code& ec);

}  // namespace batchd
