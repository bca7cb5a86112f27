// Which way connections to an origin leave: straight, or through a proxy by CONNECT. The usual variables and a provider's own
// key are read here, and NO_PROXY's exceptions decided. Pure text work; nothing is resolved, and no credential is ever shown.
#pragma once

#include "core/endpoint.hpp"

#include <boost/system/result.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace batchd {

struct Proxy {
  std::string scheme;       ///< "http" or "https": how the proxy itself is spoken to
  std::string host;         ///< lower case; an IPv6 address without its brackets
  std::string port;         ///< digits
  std::string credentials;  ///< `user:password`, "" for none: never to be printed

  /// `http://proxy.example:3128`, without credentials.
  std::string shown() const;
  friend bool operator==(const Proxy&, const Proxy&) = default;
};

/// Accepts `http://[user:password@]host[:port]`, `https://…` and, as everywhere, a bare `host:port`; the scheme's own port when
/// there is none. %XX in the credentials is decoded. An error never repeats the text, which may hold a password.
boost::system::result<Proxy, EndpointError> parse_proxy(std::string_view url);

/// The proxy for one origin and all that is exempt from it.
struct ProxyRules {
  std::optional<Proxy> proxy;
  std::string no_proxy;  ///< a list as NO_PROXY has it; "" when the provider's own key named the proxy
};

/// The proxy that a connection to `origin` takes, nothing when it goes straight. This machine itself and its link (169.254/16,
/// where Azure's identity endpoint is) are never reached through a proxy, whatever the rules say.
std::optional<Proxy> proxy_for(const ProxyRules& rules, const Endpoint& origin);

/// True when `list` exempts the origin: names separated by commas or blanks. `example.com` and `.example.com` stand for the
/// domain and all below it, an address for itself, `10.0.0.0/8` for a network, `*` for everything; `:443` behind one limits it to
/// a port.
bool is_exempt(std::string_view list, const Endpoint& origin);

/// What the environment says of https: origins: HTTPS_PROXY, else ALL_PROXY, and NO_PROXY; of each the lower-case form first.
struct ProxyVariables {
  std::string name;  ///< of the variable that named the proxy, "" when none did
  std::string url;
  std::string no_proxy;
};
ProxyVariables proxy_variables(const std::map<std::string, std::string>& environment);

}  // namespace batchd
