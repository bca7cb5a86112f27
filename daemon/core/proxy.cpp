#include "core/proxy.hpp"

#include "core/lowered.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace batchd {
namespace {

constexpr std::string_view default_http_port = "80";
constexpr std::string_view default_https_port = "443";

std::optional<unsigned> whole_number(std::string_view text, int base = 10) {
  unsigned value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// `%40` as `@`; nothing when a percent sign is not followed by two digits.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto value = i + 2 < text.size() ? whole_number(text.substr(i + 1, 2), 16) : std::nullopt;
    if (!value) return std::nullopt;
    out += static_cast<char>(*value);
    i += 2;
  }
  return out;
}

/// A host and what stands behind its colon, "" when nothing does.
struct Place {
  std::string_view host;
  std::string_view port;
};

/// `example.com:443`, `[::1]:443`, `::1`.
Place split_place(std::string_view text) {
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return {};
    const std::string_view behind = text.substr(close + 1);
    return {text.substr(1, close - 1), behind.starts_with(':') ? behind.substr(1) : behind};
  }
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

/// An address as its bytes; IPv4 in IPv6's form, so that there is one kind.
using Address = std::array<unsigned char, 16>;
constexpr unsigned ipv4_prefix = 96;

std::optional<Address> address_of(std::string_view host) {
  const std::string text(host);
  Address out{};
  if (inet_pton(AF_INET6, text.c_str(), out.data()) == 1) return out;
  out[10] = out[11] = 0xff;
  if (inet_pton(AF_INET, text.c_str(), out.data() + 12) == 1) return out;
  return std::nullopt;
}

bool in_network(const Address& address, const Address& network, unsigned prefix) {
  const unsigned whole = prefix / 8;
  if (std::memcmp(address.data(), network.data(), whole) != 0) return false;
  if (prefix % 8 == 0) return true;
  const auto mask = static_cast<unsigned char>(0xff << (8 - prefix % 8));
  return (address[whole] & mask) == (network[whole] & mask);
}

/// `10.0.0.0/8`, `fd00::/8`.
bool network_holds(std::string_view text, const Address& address) {
  const auto slash = text.find('/');
  const auto network = address_of(text.substr(0, slash));
  const auto bits = whole_number(text.substr(slash + 1));
  if (!network || !bits || *bits > 8 * address.size()) return false;
  const bool ipv4 = text.find(':') == std::string_view::npos;
  const unsigned prefix = ipv4 ? ipv4_prefix + *bits : *bits;
  return prefix <= 8 * address.size() && in_network(address, *network, prefix);
}

bool entry_matches(std::string_view entry, const Endpoint& origin) {
  if (entry == "*") return true;
  const auto address = address_of(origin.host);
  if (entry.find('/') != std::string_view::npos) return address && network_holds(entry, *address);
  auto [name, port] = split_place(entry);
  if (!port.empty() && port != origin.port) return false;
  if (address) return address_of(name) == address;
  if (name.starts_with("*.")) name.remove_prefix(1);
  if (name.starts_with('.')) name.remove_prefix(1);
  const std::string_view host = origin.host;
  if (name.empty() || !host.ends_with(name)) return false;
  return host.size() == name.size() || host[host.size() - name.size() - 1] == '.';
}

bool is_link_local(std::string_view host) {
  const auto address = address_of(host);
  return address && network_holds("169.254.0.0/16", *address);
}

EndpointError refuse(std::string_view why) {
  return {"it " + std::string(why)};
}

}  // namespace

std::string Proxy::shown() const {
  return scheme + "://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

boost::system::result<Proxy, EndpointError> parse_proxy(std::string_view url) {
  Proxy proxy;
  const auto scheme_end = url.find("://");
  proxy.scheme = scheme_end == std::string_view::npos ? "http" : lowered(url.substr(0, scheme_end));
  if (proxy.scheme.starts_with("socks")) return refuse("names a SOCKS proxy, and only CONNECT is spoken (http:// or https://)");
  if (proxy.scheme != "http" && proxy.scheme != "https") return refuse("has a scheme other than http and https");
  std::string_view rest = scheme_end == std::string_view::npos ? url : url.substr(scheme_end + 3);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    const auto credentials = percent_decoded(rest.substr(0, at));
    if (!credentials) return refuse("has a '%' in its credentials that no two hexadecimal digits follow");
    proxy.credentials = *credentials;
    if (proxy.credentials.find(':') == std::string::npos) proxy.credentials += ':';  // a user without a password
    rest.remove_prefix(at + 1);
  }
  if (rest.find_first_of("/?#") != std::string_view::npos) return refuse("has a path, and a proxy has none");
  const Place place = split_place(rest);
  const std::string_view port = !place.port.empty()       ? place.port
                                : proxy.scheme == "https" ? default_https_port
                                                          : default_http_port;
  const bool address = place.host.find(':') != std::string_view::npos;
  const bool odd = (address && !address_of(place.host)) || place.host.find_first_of("[]") != std::string_view::npos;
  // What an origin may be named, a proxy may too.
  const std::string host = address ? "[" + std::string(place.host) + "]" : std::string(place.host);
  const auto checked = parse_endpoint("https://" + host + ":" + std::string(port));
  if (odd || checked.has_error()) return refuse("has an impossible host or port");
  proxy.host = checked->host;
  proxy.port = checked->port;
  return proxy;
}

bool is_exempt(std::string_view list, const Endpoint& origin) {
  constexpr std::string_view separators = ", \t";
  const std::string lower = lowered(list);
  std::string_view rest = lower;
  while (!rest.empty()) {
    const auto end = std::min(rest.find_first_of(separators), rest.size());
    if (end > 0 && entry_matches(rest.substr(0, end), origin)) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

std::optional<Proxy> proxy_for(const ProxyRules& rules, const Endpoint& origin) {
  if (is_loopback(origin.host) || is_link_local(origin.host) || is_exempt(rules.no_proxy, origin)) return std::nullopt;
  return rules.proxy;
}

ProxyVariables proxy_variables(const std::map<std::string, std::string>& environment) {
  const auto named = [&environment](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (const auto found = environment.find(name); found != environment.end() && !found->second.empty()) return found;
    }
    return environment.end();
  };
  ProxyVariables out;
  if (const auto proxy = named({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}); proxy != environment.end()) {
    out.name = proxy->first;
    out.url = proxy->second;
  }
  if (const auto exempt = named({"no_proxy", "NO_PROXY"}); exempt != environment.end()) out.no_proxy = exempt->second;
  return out;
}

}  // namespace batchd
