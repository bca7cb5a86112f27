// The keys of a [[provider]] that say how its connections leave a corporate network: the proxy, from its own key or from the
// environment as other programs take it, the proxy's credentials, and the certificate to show. Nothing is connected to.
#include "config_check.hpp"
#include "config_values.hpp"

#include <stdexcept>
#include <tuple>

namespace batchd {
namespace {

constexpr std::string_view straight = "none";
constexpr std::string_view expected_proxy =
    "http://host:port or https://host:port of a proxy that takes CONNECT, or \"none\" to connect straight";

std::string without_password(const std::string& url) {
  return url.find('@') == std::string::npos ? in_quotes(url) : "a value (not shown)";
}

/// True when anything that this provider calls over the network would be asked of a proxy.
bool takes_proxy(const ProviderConfig& provider, const std::string& no_proxy) {
  const ProxyRules rules{Proxy{}, no_proxy};
  for (const std::string& url : {provider.endpoint, provider.entra.authority}) {
    const auto origin = parse_endpoint(url);
    if (origin && proxy_for(rules, *origin)) return true;
  }
  return false;
}

void check_credentials(const Desk& desk, const ProviderConfig& provider, const std::string& path, const std::string& key) {
  const std::string name = "proxy_credentials_file";
  const std::string& file = provider.proxy_credentials_file;
  if (file.empty()) return;
  if (desk.given.contains(path + "proxy") && provider.proxies.proxy && !provider.proxies.proxy->credentials.empty()) {
    desk.report(path + name, key + name, "proxy_credentials_file, and credentials in proxy", "one of the two only");
    return;
  }
  const std::string expected = "a file that holds user:password on one line";
  try {
    if (read_secret_file(file).reveal().find(':') == std::string::npos)
      desk.report(path + name, key + name, in_quotes(file) + " (no colon in it)", expected);
  } catch (const std::runtime_error& error) {
    desk.report(path + name, key + name, error.what(), expected);
  }
}

void check_client_certificate(const Desk& desk, const ProviderConfig& provider, const std::string& path, const std::string& key) {
  for (const auto& [name, file, other] : {std::tuple{"client_cert_file", provider.client_cert_file, provider.client_key_file},
                                          std::tuple{"client_key_file", provider.client_key_file, provider.client_cert_file}}) {
    check_readable(desk, path + name, key + name, file);
    if (file.empty() && !other.empty()) desk.report(path + name, key + name, "", "client_cert_file and client_key_file together");
  }
}

}  // namespace

std::optional<Proxy> endpoint_proxy(const ProviderConfig& provider) {
  const auto endpoint = parse_endpoint(provider.endpoint);
  return endpoint ? proxy_for(provider.proxies, *endpoint) : std::nullopt;
}

void check_connections(const Desk& desk, ProviderConfig& provider, const std::string& path, const std::string& key,
                       const Environment& environment, std::vector<std::string>& warnings) {
  check_client_certificate(desk, provider, path, key);
  const bool own = desk.given.contains(path + "proxy");
  const ProxyVariables variables = own ? ProxyVariables{} : proxy_variables(environment);
  const std::string& url = own ? provider.proxy : variables.url;
  provider.proxies.no_proxy = variables.no_proxy;
  if (!url.empty() && url != straight) {
    if (!takes_proxy(provider, variables.no_proxy)) {
      if (own) warnings.push_back(key + "proxy is not used: nothing on this machine itself is reached through a proxy");
      return;
    }
    const auto proxy = parse_proxy(url);
    if (proxy) {
      provider.proxies.proxy = *proxy;
    } else {
      const std::string found =
          own ? without_password(url) : "the environment variable " + variables.name + ", " + without_password(url);
      desk.report(path + "proxy", key + "proxy", found, std::string(expected_proxy) + " (" + proxy.error().message + ")");
    }
  }
  check_credentials(desk, provider, path, key);
}

}  // namespace batchd
