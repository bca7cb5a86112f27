#include "runtime/http_exchange.hpp"

#include "runtime/multipart.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

namespace batchd {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr std::size_t upload_piece = 256 * 1024;
constexpr std::size_t download_piece = 128 * 1024;
constexpr std::size_t input_size = 64 * 1024;
constexpr std::uint32_t max_header = 32 * 1024;
constexpr std::size_t max_error_body = 64 * 1024;

std::string random_boundary() {
  static constexpr char letters[] = "0123456789abcdefghijklmnopqrstuv";
  std::random_device source;
  std::string boundary = "batchd-";
  for (int i = 0; i < 32; ++i) boundary += letters[source() % 32];
  return boundary;
}

}  // namespace

OutgoingBody::~OutgoingBody() {
  if (file_ >= 0) ::close(file_);
}

std::string OutgoingBody::open(const HttpRequest& request) {
  if (const auto* text = std::get_if<std::string>(&request.body)) {
    head_ = *text;
    return "";
  }
  const auto* upload = std::get_if<FileUpload>(&request.body);
  if (!upload) return "";
  file_ = ::open(upload->path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file_ < 0 || ::fstat(file_, &info) != 0) return "cannot open '" + upload->path.string() + "': " + std::strerror(errno);
  if (!S_ISREG(info.st_mode)) return "cannot send '" + upload->path.string() + "': not a regular file";
  file_size_ = static_cast<std::uint64_t>(info.st_size);
  MultipartFrame frame = make_multipart(upload->fields, "file", upload->filename, upload->content_type, random_boundary());
  head_ = std::move(frame.head);
  tail_ = std::move(frame.tail);
  content_type_ = std::move(frame.content_type);
  return "";
}

long OutgoingBody::read_at(char* into, std::size_t size, std::uint64_t offset) const {
  return ::pread(file_, into, size, static_cast<off_t>(offset));
}

milliseconds HttpExchange::patience() const {
  const auto left = std::chrono::duration_cast<milliseconds>(limits_.deadline - std::chrono::steady_clock::now());
  return std::clamp(left, milliseconds(1), limits_.idle);
}

Task<ExchangeResult> HttpExchange::run(std::string header, const OutgoingBody& body) {
  const std::string send_error = co_await send(std::move(header), body);
  if (!send_error.empty() && result_.timed_out) {
    result_.error = send_error;
    co_return std::move(result_);
  }
  // A server may answer and hang up before it has read the whole request; the answer says more than the broken pipe.
  const std::string receive_error = co_await receive();
  if (!receive_error.empty()) {
    result_.error = send_error.empty() ? receive_error : send_error;
  } else {
    result_.reusable = result_.reusable && send_error.empty();
    result_.response = std::move(response_);
  }
  co_return std::move(result_);
}

Task<std::string> HttpExchange::send(std::string header, const OutgoingBody& body) {
  header += body.head();
  if (!body.streamed()) co_return co_await write(header);
  std::string error = co_await write(header);
  if (error.empty()) error = co_await send_file(body);
  if (error.empty()) error = co_await write(body.tail());
  co_return error;
}

Task<std::string> HttpExchange::send_file(const OutgoingBody& body) {
  std::string piece(upload_piece, '\0');
  for (std::uint64_t offset = 0; offset < body.file_size();) {
    const auto wanted = std::min<std::uint64_t>(piece.size(), body.file_size() - offset);
    const long got = body.read_at(piece.data(), wanted, offset);
    if (got <= 0) co_return "the file changed or failed while it was being sent";
    std::string error = co_await write(std::string_view(piece).substr(0, static_cast<std::size_t>(got)));
    if (!error.empty()) co_return error;
    offset += static_cast<std::uint64_t>(got);
  }
  co_return "";
}

Task<std::string> HttpExchange::write(std::string_view bytes) {
  if (std::chrono::steady_clock::now() >= limits_.deadline) {
    result_.timed_out = true;
    co_return "timed out while sending";
  }
  const error_code ec = co_await transport_.write(bytes, patience());
  if (!ec) co_return "";
  result_.timed_out = ec == boost::beast::error::timeout;
  co_return "sending failed: " + describe_io_error(ec);
}

Task<std::string> HttpExchange::receive() {
  input_.resize(input_size);
  do {
    parser_.emplace();
    parser_->header_limit(max_header);
    parser_->body_limit(boost::none);
    std::string error = co_await receive_header();
    if (!error.empty()) co_return error;
  } while (parser_->get().result_int() / 100 == 1);  // 100 Continue and its like announce the real answer
  const auto& message = parser_->get();
  response_.status = static_cast<int>(message.result_int());
  for (const auto& field : message) response_.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  std::string error = co_await receive_body();
  if (error.empty()) result_.reusable = !cut_short_ && !at_end_ && parsed_ == filled_ && parser_->keep_alive();
  co_return error;
}

Task<std::string> HttpExchange::receive_header() {
  while (!parser_->is_header_done()) {
    if (parsed_ == filled_) {
      std::string error = co_await read_more();
      if (!error.empty()) co_return error;
      if (at_end_) co_return "the peer closed the connection without an answer";
    }
    std::string error = parse();
    if (!error.empty()) co_return error;
    if (parser_->is_header_done()) break;
    std::string more = co_await read_more();
    if (!more.empty()) co_return more;
    if (at_end_) co_return "the peer closed the connection within the header of its answer";
  }
  co_return "";
}

Task<std::string> HttpExchange::receive_body() {
  std::string piece(download_piece, '\0');
  auto& body = parser_->get().body();
  body.data = piece.data();
  body.size = piece.size();
  parser_->eager(true);
  while (!parser_->is_done() && !cut_short_) {
    bool starved = parsed_ == filled_;
    if (!starved) {
      const std::size_t before = parsed_;
      std::string error = parse();
      if (!error.empty()) co_return error;
      starved = parsed_ == before && body.size != 0;  // an unfinished chunk header: it needs more to go on
    }
    if (body.size == 0) {
      std::string error = co_await deliver(piece);
      if (!error.empty()) co_return error;
      body.data = piece.data();
      body.size = piece.size();
    } else if (starved && !parser_->is_done()) {
      std::string error = co_await read_more();
      if (!error.empty()) co_return error;
      if (at_end_) break;
    }
  }
  if (!cut_short_) {
    std::string error = co_await deliver(std::string_view(piece).substr(0, piece.size() - body.size));
    if (!error.empty()) co_return error;
  }
  if (parser_->is_done() || cut_short_) co_return "";
  // Without a length and without chunks only a proper end of stream tells a whole body from a cut one.
  if (cleanly_ && parser_->need_eof() && !parser_->content_length() && !parser_->chunked()) co_return "";
  co_return "the body was cut after " + std::to_string(response_.body_bytes) + " bytes" +
      (parser_->content_length() ? " of " + std::to_string(*parser_->content_length()) : std::string());
}

/// Feeds what was read to the parser once; running out of input or of room is no error.
std::string HttpExchange::parse() {
  error_code ec;
  parsed_ += parser_->put(boost::asio::const_buffer(input_.data() + parsed_, filled_ - parsed_), ec);
  if (!ec || ec == http::error::need_more || ec == http::error::need_buffer) return "";
  return "the answer is not HTTP as expected: " + ec.message();
}

Task<std::string> HttpExchange::read_more() {
  std::copy(input_.begin() + static_cast<std::ptrdiff_t>(parsed_), input_.begin() + static_cast<std::ptrdiff_t>(filled_),
            input_.begin());
  filled_ -= parsed_;
  parsed_ = 0;
  if (filled_ == input_.size()) co_return "the answer is not HTTP as expected: a line without end";
  if (std::chrono::steady_clock::now() >= limits_.deadline) {
    result_.timed_out = true;
    co_return "timed out while waiting for the answer";
  }
  const auto [ec, count] = co_await transport_.read_some(input_.data() + filled_, input_.size() - filled_, patience());
  filled_ += count;
  result_.answered = result_.answered || count > 0;
  if (!ec) co_return "";
  if (ec == boost::asio::error::eof || ec == boost::asio::ssl::error::stream_truncated) {
    at_end_ = true;
    cleanly_ = ec == boost::asio::error::eof;
    co_return "";
  }
  result_.timed_out = ec == boost::beast::error::timeout;
  co_return "no whole answer came: " + describe_io_error(ec);
}

Task<std::string> HttpExchange::deliver(std::string_view bytes) {
  response_.body_bytes += bytes.size();
  if (sink_ && response_.status / 100 == 2) {
    if (!bytes.empty()) co_await (*sink_)(bytes);
    co_return "";
  }
  const std::size_t limit = sink_ ? max_error_body : limits_.max_body;
  if (response_.body.size() + bytes.size() > limit) {
    if (!sink_) co_return "the answer's body is larger than " + std::to_string(limit) + " bytes";
    bytes = bytes.substr(0, limit - response_.body.size());
    cut_short_ = true;
  }
  response_.body += bytes;
  co_return "";
}

}  // namespace batchd
