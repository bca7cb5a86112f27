#include "connections.hpp"

namespace batchd {

TlsFiles tls_files(const ProviderConfig& provider) {
  return {provider.ca_file, provider.client_cert_file, provider.client_key_file};
}

HttpClientOptions http_options(const ProviderConfig& provider, const Endpoint& origin) {
  HttpClientOptions options;
  options.tls = tls_files(provider);
  options.user_agent = "batchd/" BATCHD_VERSION;
  options.proxy = proxy_for(provider.proxies, origin);
  if (!provider.proxy_credentials_file.empty())
    options.proxy_credentials = [file = provider.proxy_credentials_file] { return read_secret_file(file).reveal(); };
  return options;
}

}  // namespace batchd
