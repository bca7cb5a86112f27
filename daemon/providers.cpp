#include "providers.hpp"

namespace batchd {

Providers::Providers(const Config& config, Metrics& metrics, Log& log) {
  for (const ProviderConfig& provider : config.providers) {
    Credential& credential = credentials_.emplace_back(provider, log);
    ProviderSettings settings;
    settings.name = provider.name;
    settings.kind = provider.kind;
    settings.endpoint = provider.endpoint;
    settings.api_version = provider.api_version;
    settings.organization = provider.organization;
    settings.project = provider.project;
    settings.api_key = [&credential] { return credential.current(); };
    settings.http.ca_file = provider.ca_file;
    settings.http.user_agent = "batchd/" BATCHD_VERSION;
    by_name_[provider.name] = &ports_.emplace_back(std::move(settings), metrics, log);
  }
}

}  // namespace batchd
