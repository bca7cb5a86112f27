// One HTTP exchange as the simulator's services see it: the head of a request, its body as it arrives, and the reply,
// whose delivery can be spoilt on purpose. No networking library shows here; http_server.cpp turns it into bytes.
#pragma once

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sim {

template <class T>
using Task = boost::asio::awaitable<T>;
using Milliseconds = std::chrono::milliseconds;

struct RequestHead {
  std::string method;
  std::string path;                          ///< decoded, without the query
  std::map<std::string, std::string> query;  ///< decoded
  std::string host;
  std::string authorization;
  std::string api_key;
  std::string content_type;
  std::string accept;
  std::string metadata;  ///< the header of that name, which machines show
  std::optional<std::uint64_t> content_length;

  /// A query parameter; empty when there is none.
  std::string parameter(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  }
};

/// Names and values of a query or of a form, decoded.
std::map<std::string, std::string> parse_form(std::string_view text);

/// The body of the request at hand. Reading is never required: the server drains what is left.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  /// Up to `into.size()` bytes; 0 at the end.
  virtual Task<std::size_t> read(std::span<char> into) = 0;
};

/// A reply's body that is made while it is sent.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual std::uint64_t size() const = 0;
  /// Appends the next bytes to `out`, some hundred KB at a time; nothing at the end.
  virtual void next(std::string& out) = 0;
};

/// How a reply is spoilt on its way (POST /sim/faults).
struct Delivery {
  bool reset = false;               ///< the connection is reset instead
  bool hang = false;                ///< nothing is ever sent; the connection stays open until the client leaves
  bool cut = false;                 ///< half the body under its full Content-Length, then a reset
  bool shorten = false;             ///< half the body under an honest Content-Length
  bool stall = false;               ///< half the body, then silence on a connection that stays open
  bool half_open = false;           ///< nothing is read or sent any more; the connection stays open
  std::optional<std::uint64_t> at;  ///< of `cut`, `shorten`, `stall`: after so many bytes instead of half
  Milliseconds before{};            ///< waited before the first byte
  Milliseconds between{};           ///< waited before each further piece of the body
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::unique_ptr<BodySource> source;  ///< instead of `body`
  Delivery delivery;
};

/// What the server hands its requests to.
class Service {
 public:
  virtual ~Service() = default;
  virtual Task<Reply> serve(const RequestHead& head, BodyReader& body) = 0;
};

}  // namespace sim
