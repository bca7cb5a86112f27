#include "credentials.hpp"

#include "connections.hpp"
#include "provider/entra.hpp"
#include "provider/token_cache.hpp"

#include <exception>
#include <stdexcept>
#include <utility>

namespace batchd {
namespace {

Endpoint endpoint_of(const ProviderConfig& provider, const std::string& url) {
  auto endpoint = parse_endpoint(url);
  if (!endpoint) throw std::runtime_error("provider '" + provider.name + "': " + endpoint.error().message);
  return std::move(*endpoint);
}

std::unique_ptr<TokenSource> make_source(const ProviderConfig& provider) {
  const EntraConfig& entra = provider.entra;
  if (entra.method == "managed-identity") {
    const Endpoint endpoint =
        entra.identity_endpoint.empty() ? machine_identity_endpoint() : endpoint_of(provider, entra.identity_endpoint);
    const std::string resource = entra.scope.substr(0, entra.scope.rfind("/.default"));
    return std::make_unique<MachineIdentity>(
        MachineIdentitySettings{endpoint, resource, entra.client_id, entra.object_id, entra.msi_res_id},
        http_options(provider, endpoint));
  }
  LoginProof proof;
  if (entra.method == "workload-identity") {
    proof = {LoginProof::Kind::assertion, entra.token_file, {}};
  } else {
    proof = {LoginProof::Kind::secret, entra.client_secret_file, entra.client_secret};
  }
  const Endpoint authority = endpoint_of(provider, entra.authority);
  return std::make_unique<EntraLogin>(LoginSettings{authority, entra.tenant_id, entra.client_id, entra.scope, std::move(proof)},
                                      http_options(provider, authority));
}

}  // namespace

KeyCredential::KeyCredential(const ProviderConfig& provider, Log& log)
    : provider_(provider.name),
      file_(provider.bearer_token_file.empty() ? provider.api_key_file : provider.bearer_token_file),
      scheme_(provider.bearer_token_file.empty() ? Authorization::Scheme::api_key : Authorization::Scheme::bearer),
      key_(provider.secret),
      log_(log) {
  if (!file_.empty()) watch_.emplace(file_);
}

Task<ProviderResult<Authorization>> KeyCredential::authorization() {
  look();
  co_return Authorization{scheme_, key_.reveal()};
}

Task<ProviderResult<std::optional<Authorization>>> KeyCredential::replacement(const Authorization& refused) {
  look();
  if (key_.reveal() == refused.secret) co_return std::optional<Authorization>();
  co_return std::optional<Authorization>(Authorization{scheme_, key_.reveal()});
}

Task<bool> KeyCredential::tend() {
  look();
  co_return std::exchange(changed_, false);
}

void KeyCredential::look() {
  if (!watch_ || !(watch_->changed() || unreadable_)) return;
  try {
    key_ = read_secret_file(file_);
    unreadable_ = false;
    changed_ = true;
    log_.info("credential.reread", {{"provider", provider_}});
  } catch (const std::exception& error) {
    if (!unreadable_) log_.warn("credential.unreadable", {{"provider", provider_}, {"error", error.what()}});
    unreadable_ = true;
  }
}

std::unique_ptr<Credential> make_credential(const ProviderConfig& provider, Clock& clock, Metrics& metrics, Log& log) {
  if (provider.entra.method.empty()) return std::make_unique<KeyCredential>(provider, log);
  return std::make_unique<TokenCache>(provider.name, make_source(provider), clock, metrics, log);
}

}  // namespace batchd
