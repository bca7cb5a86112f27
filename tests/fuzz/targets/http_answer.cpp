// The client's half of HTTP/1.1 on any bytes of a server: however the network cuts them, the answer is the same (status, headers,
// body) or there is none; there is an answer or a complaint, never both; a download is handed over whole or complained
// about. Input: how the stream ends and whether there is a sink, as FuzzedDataProvider takes them; the bytes.
#include "harness.hpp"
#include "runtime/http_exchange.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/error.hpp>

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstring>

namespace batchd::fuzz {
namespace {

/// A server that says its piece in portions and hangs up.
class Script : public HttpTransport {
 public:
  Script(std::string_view bytes, std::size_t portion, bool cleanly) : bytes_(bytes), portion_(portion), cleanly_(cleanly) {}

  Task<ReadResult> read_some(char* into, std::size_t size, std::chrono::milliseconds) override {
    ReadResult result;
    result.count = std::min({size, portion_, bytes_.size()});
    std::memcpy(into, bytes_.data(), result.count);
    bytes_.remove_prefix(result.count);
    if (result.count == 0)
      result.ec = cleanly_ ? make_error_code(asio::error::eof) : make_error_code(asio::ssl::error::stream_truncated);
    co_return result;
  }
  Task<boost::system::error_code> write(std::string_view, std::chrono::milliseconds) override {
    co_return boost::system::error_code{};
  }
  bool quiet() override { return true; }

 private:
  std::string_view bytes_;
  std::size_t portion_;
  bool cleanly_;
};

struct Told {
  ExchangeResult result;
  std::string sunk;
};

Told exchange(std::string_view bytes, std::size_t portion, bool cleanly, bool with_sink) {
  Told told;
  Script script(bytes, portion, cleanly);
  const DownloadSink sink = [&told](std::string_view piece) -> Task<void> {
    told.sunk += piece;
    co_return;
  };
  const ExchangeLimits limits{std::chrono::hours(1), std::chrono::steady_clock::now() + std::chrono::hours(1), 1000};
  HttpExchange client(script, limits, with_sink ? &sink : nullptr);
  const OutgoingBody nothing;
  asio::io_context loop;
  std::exception_ptr failure;
  bool over = false;
  asio::co_spawn(loop, client.run("GET / HTTP/1.1\r\n\r\n", nothing), [&](std::exception_ptr thrown, ExchangeResult result) {
    failure = thrown;
    told.result = std::move(result);
    over = true;
  });
  loop.run();
  holds(over && !failure, "an exchange ends, and not by an exception");
  return told;
}

/// What is wrong with a head that is broken and cut off may be said either way, and all complaints mean the same.
std::string described(const Told& told) {
  if (!told.result.response) return "no answer";
  std::string out = told.sunk;
  out += '|' + std::to_string(told.result.response->status) + '|' + told.result.response->body;
  for (const auto& [name, value] : told.result.response->headers) out += '|' + name + ':' + value;
  return out + '|' + std::to_string(told.result.response->body_bytes);
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  const bool cleanly = data.ConsumeBool();
  const bool with_sink = data.ConsumeBool();
  const auto portion = data.ConsumeIntegralInRange<std::size_t>(1, 40);
  const std::string bytes = data.ConsumeRemainingBytesAsString();
  const Told whole = exchange(bytes, bytes.size() + 1, cleanly, with_sink);
  const auto& [result, sunk] = whole;
  holds(result.response.has_value() == result.error.empty(), "an answer or a complaint, never both");
  holds(result.answered == !bytes.empty(), "it is known whether anything came");
  if (result.response) {
    const HttpResponse& response = *result.response;
    holds(response.status / 100 != 1 && response.status >= 0 && response.status <= 999, "a status is a final one");
    const bool sunk_whole = with_sink && response.status / 100 == 2;
    holds(sunk_whole ? response.body.empty() && sunk.size() == response.body_bytes : sunk.empty(), "a body goes to one place");
    if (!with_sink) holds(response.body.size() == response.body_bytes && response.body.size() <= 1000, "and is within its limit");
  }
  holds(described(exchange(bytes, portion, cleanly, with_sink)) == described(whole), "however it is cut, it is the same");
}

}  // namespace batchd::fuzz
