#include "core/endpoint.hpp"

#include "core/lowered.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace batchd {
namespace {

EndpointError refuse(std::string_view url, std::string_view why) {
  constexpr std::size_t longest = 200;
  std::string message = "'";
  message.append(url.substr(0, longest))
      .append(url.size() > longest ? "..." : "")
      .append("' ")
      .append(why)
      .append("; expected something like https://host/path");
  return {std::move(message)};
}

// RFC 1035; no resolver takes more.
constexpr std::size_t longest_host = 253;

bool is_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc{} && end == text.data() + text.size() && value > 0 && value < 65536;
}

/// "0" to "255", in the one spelling that means the same to every resolver.
bool is_octet(std::string_view text) {
  unsigned value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc{} && end == text.data() + text.size() && value < 256 && (text.size() == 1 || text.front() != '0');
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == ':';
}

std::string_view default_port(std::string_view scheme) {
  return scheme == "https" ? "443" : "80";
}

}  // namespace

std::string Endpoint::authority() const {
  std::string shown = host;
  if (host.find(':') != std::string::npos) shown.insert(0, 1, '[').append(1, ']');
  if (port != default_port(scheme)) shown.append(1, ':').append(port);
  return shown;
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1" || host == "[::1]") return true;
  // 127.a.b.c and nothing that merely begins like it, such as 127.0.0.1.example.com or 127.0.0.999: those are names, and a name
  // leads wherever its owner likes.
  if (!host.starts_with("127.")) return false;
  for (int dots = 3; dots >= 0; --dots) {
    const auto end = std::min(host.find('.'), host.size());
    if (!is_octet(host.substr(0, end)) || (dots > 0) == (end == host.size())) return false;
    host.remove_prefix(std::min(end + 1, host.size()));
  }
  return true;
}

boost::system::result<Endpoint, EndpointError> parse_endpoint(std::string_view url) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return refuse(url, "has no scheme");
  Endpoint endpoint;
  endpoint.scheme = lowered(url.substr(0, scheme_end));
  if (endpoint.scheme != "https" && endpoint.scheme != "http") return refuse(url, "is neither https nor http");
  const std::string_view rest = url.substr(scheme_end + 3);
  if (rest.find_first_of("?#") != std::string_view::npos) return refuse(url, "has a query or a fragment");
  const auto slash = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, slash);
  if (authority.find('@') != std::string_view::npos)
    return EndpointError{"the URL holds a user name; credentials have keys of their own"};

  const auto bracket = authority.starts_with('[') ? authority.find(']') : std::string_view::npos;
  if (authority.starts_with('[') && bracket == std::string_view::npos) return refuse(url, "has an unclosed '['");
  const auto behind = bracket == std::string_view::npos ? std::string_view{} : authority.substr(bracket + 1);
  if (!behind.empty() && !behind.starts_with(':')) return refuse(url, "has something between ']' and its port");
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view name = authority.substr(0, colon);
  endpoint.host = lowered(bracket == std::string_view::npos ? name : name.substr(1, bracket - 1));
  endpoint.port = colon == std::string_view::npos ? default_port(endpoint.scheme) : authority.substr(colon + 1);
  if (endpoint.host.empty()) return refuse(url, "has no host");
  if (endpoint.host.size() > longest_host || !std::all_of(endpoint.host.begin(), endpoint.host.end(), is_host_character)) {
    return refuse(url, "has an impossible host");
  }
  if (!is_port(endpoint.port)) return refuse(url, "has an impossible port");
  if (endpoint.scheme == "http" && !is_loopback(endpoint.host)) {
    return refuse(url, "would send credentials in the clear (http:// is accepted on loopback only)");
  }
  std::string_view path = rest.substr(slash);
  while (path.ends_with('/')) path.remove_suffix(1);
  // It goes into the first line of every request.
  const auto graphic = [](char c) { return c > ' ' && c < 0x7f; };
  if (!std::all_of(path.begin(), path.end(), graphic)) return refuse(url, "has a blank or an unprintable character in its path");
  endpoint.path = path;
  return endpoint;
}

}  // namespace batchd
