// One request and its answer over an open connection: HTTP/1.1 framing on top of bytes. Used by the HTTP client only.
#pragma once

#include "runtime/http_client.hpp"
#include "runtime/http_transport.hpp"

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

namespace batchd {

/// What is sent after the header: nothing, a text, or a file between two texts. Opened and measured before a connection
/// is taken, so that a missing file costs nothing.
class OutgoingBody {
 public:
  OutgoingBody() = default;
  ~OutgoingBody();
  OutgoingBody(const OutgoingBody&) = delete;
  OutgoingBody& operator=(const OutgoingBody&) = delete;

  /// Returns "" or a sentence that says why the body cannot be sent.
  std::string open(const HttpRequest& request);

  std::string_view head() const { return head_; }
  std::string_view tail() const { return tail_; }
  std::uint64_t file_size() const { return file_size_; }
  std::uint64_t size() const { return head_.size() + file_size_ + tail_.size(); }
  const std::string& content_type() const { return content_type_; }
  bool streamed() const { return file_ >= 0; }
  /// Reads the file's next bytes at `offset`; 0 at its end, -1 on failure.
  long read_at(char* into, std::size_t size, std::uint64_t offset) const;

 private:
  std::string head_;
  std::string tail_;
  std::string content_type_;
  int file_ = -1;
  std::uint64_t file_size_ = 0;
};

struct ExchangeLimits {
  std::chrono::milliseconds idle;
  std::chrono::steady_clock::time_point deadline;
  std::size_t max_body;
};

struct ExchangeResult {
  std::optional<HttpResponse> response;
  std::string error;      ///< set when there is no response
  bool answered = false;  ///< some byte of an answer came
  bool timed_out = false;
  bool reusable = false;  ///< the connection can carry another request
};

class HttpExchange {
 public:
  HttpExchange(HttpTransport& transport, const ExchangeLimits& limits, const DownloadSink* sink)
      : transport_(transport), limits_(limits), sink_(sink) {}

  Task<ExchangeResult> run(std::string header, const OutgoingBody& body);

 private:
  using Parser = boost::beast::http::response_parser<boost::beast::http::buffer_body>;
  Task<std::string> send(std::string header, const OutgoingBody& body);
  Task<std::string> send_file(const OutgoingBody& body);
  Task<std::string> write(std::string_view bytes);
  Task<std::string> receive();
  Task<std::string> receive_header();
  Task<std::string> receive_body();
  Task<std::string> read_more();
  Task<std::string> deliver(std::string_view bytes);
  std::string parse();
  std::chrono::milliseconds patience() const;

  HttpTransport& transport_;
  ExchangeLimits limits_;
  const DownloadSink* sink_;
  std::optional<Parser> parser_;
  std::string input_;  // bytes read and not parsed yet are input_[parsed_, filled_)
  std::size_t parsed_ = 0;
  std::size_t filled_ = 0;
  bool at_end_ = false;     // the peer has said all it will say
  bool cleanly_ = false;    // and said so by a proper end of stream
  bool cut_short_ = false;  // the rest of a body is not wanted
  HttpResponse response_;
  ExchangeResult result_;
};

}  // namespace batchd
