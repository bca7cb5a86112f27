// Where a provider is reached: an http(s) URL taken apart. Pure text work; nothing is resolved here.
#pragma once

#include <boost/system/result.hpp>

#include <string>
#include <string_view>

namespace batchd {

struct Endpoint {
  std::string scheme;  ///< "http" or "https"
  std::string host;    ///< lower case; an IPv6 address without its brackets
  std::string port;    ///< digits, the scheme's own when the URL has none
  std::string path;    ///< "" or "/a/b": without a slash at the end

  /// What belongs in a Host header: the port only when it is not the scheme's own.
  std::string authority() const;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// Why a URL cannot be used: a sentence that names what was expected.
struct EndpointError {
  std::string message;
};

/// True for `localhost`, 127.0.0.0/8 and ::1, which no packet to or from leaves this machine.
bool is_loopback(std::string_view host);

/// Accepts `https://host[:port][/path]`, and `http://` when the host is a loopback one: keys must not travel in the clear.
/// Refuses user names, queries and fragments.
boost::system::result<Endpoint, EndpointError> parse_endpoint(std::string_view url);

}  // namespace batchd
