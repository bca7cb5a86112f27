// The way through an HTTP proxy: one CONNECT on an open connection, after which it carries whatever is said to the origin.
// Used by http_transport.cpp only. No byte of a request is sent here, so that every failure means `not sent`.
#pragma once

#include "core/endpoint.hpp"
#include "core/proxy.hpp"
#include "runtime/task.hpp"

#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <string>

namespace batchd {

/// Asks `proxy` for a tunnel to `origin`, showing `credentials` (`user:password`, "" for none). Returns "", or one sentence that
/// names the proxy and its status. Ends when the stream's own time has run out.
template <class Stream>
Task<std::string> open_tunnel(Stream& stream, const Proxy& proxy, const std::string& credentials, const Endpoint& origin);

extern template Task<std::string> open_tunnel(boost::beast::tcp_stream&, const Proxy&, const std::string&, const Endpoint&);
extern template Task<std::string> open_tunnel(asio::ssl::stream<boost::beast::tcp_stream>&, const Proxy&, const std::string&,
                                              const Endpoint&);

}  // namespace batchd
