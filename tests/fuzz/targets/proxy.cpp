// The way to a provider, taken from a URL and from NO_PROXY: a proxy that is accepted, written out, is the same one; what is
// written out, or said of one that is refused, shows no credential; whatever the list, this machine is never reached through one.
// Input: the proxy's URL; after a line break, the list of exceptions; after another, an origin.
#include "core/proxy.hpp"
#include "harness.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace batchd::fuzz {
namespace {

std::array<std::string, 3> lines_of(std::string_view input) {
  std::array<std::string, 3> lines;
  for (std::string& line : lines) {
    const auto end = std::min(input.find('\n'), input.size());
    line = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return lines;
}

}  // namespace

void check(std::string_view input) {
  const auto [url, exceptions, origin] = lines_of(input);
  const auto with_canary = parse_proxy("http://canary-user:canary-word@" + url);
  holds(with_canary || with_canary.error().message.find("canary") == std::string::npos, "a refusal shows no credential");
  const auto proxy = parse_proxy(url);
  if (!proxy) return holds(!proxy.error().message.empty(), "a refusal says why");
  const auto again = parse_proxy(proxy->shown());
  holds(again && again->scheme == proxy->scheme && again->host == proxy->host && again->port == proxy->port,
        "a proxy written out is the same proxy");
  holds(again->credentials.empty(), "and shows no credential");
  const ProxyRules rules{*proxy, exceptions};
  holds(!proxy_for(rules, *parse_endpoint("http://127.0.0.1:1")), "this machine is not reached through one");
  const auto endpoint = parse_endpoint(origin);
  if (!endpoint) return;
  const auto way = proxy_for(rules, *endpoint);
  holds(!way || (*way == *proxy && !is_exempt(exceptions, *endpoint)), "the way is the proxy, unless the list says otherwise");
  holds(!proxy_for({*proxy, "*"}, *endpoint), "everything may be exempt");
}

}  // namespace batchd::fuzz
