#include "providers.hpp"

#include "connections.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// However long retries are put off, a provider that answers again is found within this.
constexpr Milliseconds longest_withheld = std::chrono::seconds(60);

CallPolicy call_policy(const ProviderConfig& provider, const RetryConfig& retry) {
  CallPolicy policy;
  policy.open = {retry.base_delay, std::min(retry.max_delay, longest_withheld)};
  const auto dialect = find_dialect(provider.kind, provider.api_version);
  if (!dialect || is_loopback_endpoint(provider.endpoint)) return policy;  // a stand-in has no such limits
  if (dialect->uploads) policy.rates.emplace(Operation::upload, *dialect->uploads);
  if (dialect->creations) policy.rates.emplace(Operation::create_batch, *dialect->creations);
  return policy;
}

}  // namespace

std::vector<Offer> offers_of(const Config& config) {
  std::map<std::string, std::vector<std::string>> endpoints;
  for (const ProviderConfig& provider : config.providers) {
    if (const auto dialect = find_dialect(provider.kind, provider.api_version))
      endpoints[provider.name].assign(dialect->endpoints.begin(), dialect->endpoints.end());
  }
  std::vector<Offer> offers;
  for (const DeploymentConfig& deployment : config.deployments)
    offers.push_back({deployment.model, endpoints[deployment.provider]});
  return offers;
}

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
    if (provider.file_expiry) {
      settings.file_expiry = std::chrono::duration_cast<std::chrono::seconds>(*provider.file_expiry);
    } else if (config.retention.remote_files == "keep") {
      settings.file_expiry = std::chrono::seconds{0};
    }
    settings.max_files = provider.max_files;
    settings.credential = credential.get();
    settings.may_call = may_call;
    if (may_call)
      settings.guard = &guards_.emplace_back(provider.name, call_policy(provider, config.retry), clock_, metrics, log);
    if (const auto endpoint = parse_endpoint(provider.endpoint)) settings.http = http_options(provider, *endpoint);
    by_name_[provider.name] = &ports_.emplace_back(std::move(settings), metrics, log);
  }
}

}  // namespace batchd
