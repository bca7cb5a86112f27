#include "simulation/cloud/settings.hpp"

namespace batchd::simulation {

CloudSettings CloudSettings::azure_like() {
  CloudSettings settings;
  settings.limits = {100'000, 200'000'000, true, true, 500, {}};
  settings.processing = {Milliseconds{0}, Milliseconds{3'000}};
  return settings;
}

CloudSettings CloudSettings::openai_like() {
  CloudSettings settings;
  settings.limits = {50'000, 200'000'000, false, false, 0, {}};
  settings.url_prefix = "/v1";
  return settings;
}

std::string CloudSettings::line_url(std::string_view endpoint) const {
  if (endpoint.starts_with("/v1/")) endpoint.remove_prefix(3);
  std::string url = url_prefix;
  url += endpoint;
  return url;
}

}  // namespace batchd::simulation
