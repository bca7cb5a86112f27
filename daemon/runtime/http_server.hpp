// A small HTTP/1.1 server for our own pages and metrics: it parses, calls one handler, answers, and keeps connections
// within bounds. Owned by whoever serves something; it knows no routes (see router.hpp) and never lets an exception of a
// handler or a broken client end the process.
#pragma once

#include "runtime/http.hpp"
#include "runtime/task.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace batchd {

struct ServerRequest {
  std::string method;  ///< upper case as sent, "HEAD" included
  std::string path;    ///< before the `?`, percent-encoding untouched
  std::string query;   ///< after the `?`, "" when there is none
  HttpHeaders headers;
  std::string body;
};

struct ServerResponse {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  HttpHeaders headers = {};  ///< besides Content-Type, Content-Length and Connection
};

/// Runs on the server's loop, one call per request; several run at a time when they wait. An exception is answered by 500.
/// The body of an answer to HEAD is measured but not sent.
using ServerHandler = std::function<Task<ServerResponse>(const ServerRequest&)>;

struct HttpServerOptions {
  std::size_t max_connections = 128;               ///< one more is answered 503 and closed
  std::uint32_t max_header_bytes = 16 * 1024;      ///< more is answered 431
  std::uint64_t max_body_bytes = 1024 * 1024;      ///< more is answered 413
  std::chrono::milliseconds idle_timeout{30'000};  ///< between bytes and between requests
  /// Told what a handler threw; the client only learns "internal error".
  std::function<void(const ServerRequest&, const std::string& what)> on_error;
};

class HttpServer {
 public:
  /// Binds at once. `listen` is `host:port` or `[v6]:port`; port 0 takes a free one. Throws std::runtime_error with a
  /// sentence that names `listen` when it cannot be read or bound.
  HttpServer(asio::any_io_executor loop, const std::string& listen, ServerHandler handler, HttpServerOptions options = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  /// Serves until its task is cancelled; then closes every connection, waits for them, and throws operation_aborted.
  Task<void> run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchd
