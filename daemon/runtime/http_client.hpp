// One HTTP/1.1 client for one origin: TLS verified, keep-alive pool, time-outs, size limits, bodies streamed from and to
// files. Owned by a provider adapter. It never follows redirects, never repeats a POST, and knows nothing of what it carries.
#pragma once

#include "core/endpoint.hpp"
#include "core/proxy.hpp"
#include "runtime/http.hpp"
#include "runtime/task.hpp"
#include "runtime/tls_context.hpp"

#include <boost/system/result.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace batchd {

struct HttpClientOptions {
  TlsFiles tls;
  std::optional<Proxy> proxy;  ///< spoken to by CONNECT; none: connections go straight
  /// `user:password` for the proxy instead of its own, asked for at each connection, so that a rotated one is used. May throw
  /// std::runtime_error with a sentence.
  std::function<std::string()> proxy_credentials;
  std::chrono::milliseconds connect_timeout{10'000};  ///< name, connection, CONNECT and TLS handshake together
  std::chrono::milliseconds idle_timeout{60'000};     ///< without a byte moving
  std::chrono::milliseconds call_timeout{120'000};    ///< a whole call, unless the request says otherwise
  std::size_t max_idle_connections = 8;
  std::size_t max_body_bytes = 16 * 1024 * 1024;  ///< of a buffered answer
  std::string user_agent = "batchd";
};

/// A file sent as the field `file` of a multipart/form-data body, streamed, with its exact length.
struct FileUpload {
  std::vector<std::pair<std::string, std::string>> fields;  ///< sent before the file
  std::filesystem::path path;
  std::string filename;  ///< as the server is to know it
  std::string content_type;
};

struct HttpRequest {
  std::string method = "GET";
  std::string target;   ///< path and query, percent-encoded
  HttpHeaders headers;  ///< besides Host, User-Agent, Content-Length
  std::variant<std::monostate, std::string, FileUpload> body;
  std::optional<std::chrono::milliseconds> timeout;  ///< instead of call_timeout
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
  std::string body;              ///< "" when it went to a sink
  std::uint64_t body_bytes = 0;  ///< as received, wherever they went
};

/// No (whole) answer came. An answer of any status is an HttpResponse.
struct HttpError {
  enum class Phase {
    not_sent,  ///< provably no byte of the request was written: file unreadable, DNS, connect, proxy, TLS
    unknown,   ///< the request, or part of it, may have arrived
  };
  Phase phase = Phase::unknown;
  std::string message;  ///< one sentence, without headers or bodies
  bool tried = true;    ///< false: the request itself cannot be made, and nobody was asked
};
[[noreturn]] void throw_exception_from_error(const HttpError& error, const boost::source_location& where);

using HttpResult = boost::system::result<HttpResponse, HttpError>;

/// Receives the next bytes of a download; the next are read when it returns. What it throws ends the call.
using DownloadSink = std::function<Task<void>(std::string_view)>;

class HttpClient {
 public:
  /// Throws std::runtime_error when a file of `options.tls` cannot be used. Must be destroyed before the io_context that ran its
  /// calls.
  HttpClient(Endpoint origin, HttpClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// One request, its answer in memory. Cancellation throws operation_aborted and closes the connection.
  /// A GET or DELETE whose kept connection turns out to be dead before any answer is sent once more on a fresh one.
  Task<HttpResult> send(HttpRequest request);

  /// The same, but the body of a 2xx answer goes to `sink` in pieces of at most 128 KiB. A body that ends before its
  /// length, or without its last chunk, is an `unknown` error; what the sink has seen by then is a prefix.
  /// Other answers are buffered as by send(), cut at 64 KiB.
  Task<HttpResult> download(HttpRequest request, DownloadSink sink);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchd
