#include "providers.hpp"

namespace batchd {

Providers::Providers(const Config& config, Metrics& metrics, Log& log, std::function<bool()> may_call) {
  for (const ProviderConfig& provider : config.providers) {
    auto& credential = credentials_[provider.name];
    credential = make_credential(provider, clock_, metrics, log);
    ProviderSettings settings;
    settings.name = provider.name;
    settings.kind = provider.kind;
    settings.endpoint = provider.endpoint;
    settings.api_version = provider.api_version;
    settings.organization = provider.organization;
    settings.project = provider.project;
    settings.credential = credential.get();
    settings.may_call = may_call;
    settings.http.ca_file = provider.ca_file;
    settings.http.user_agent = "batchd/" BATCHD_VERSION;
    by_name_[provider.name] = &ports_.emplace_back(std::move(settings), metrics, log);
  }
}

}  // namespace batchd
