// Where Microsoft Entra tokens come from: a login with a client secret or with a federated assertion (workload identity of
// Kubernetes), and the identity endpoint of an Azure machine (PROTOCOL.md 14.3 to 14.5).
// Made by the wiring, owned by a token cache. Secrets and assertions are read anew for each exchange and kept nowhere.
#pragma once

#include "config.hpp"
#include "provider/file_mark.hpp"
#include "provider/token.hpp"
#include "runtime/http_client.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace batchd {

/// What a login proves itself with.
struct LoginProof {
  enum class Kind { secret, assertion };
  Kind kind = Kind::secret;
  std::filesystem::path file;  ///< "" when `fixed` holds it
  Secret fixed;
};

struct LoginSettings {
  Endpoint authority;  ///< https://login.microsoftonline.com
  std::string tenant_id;
  std::string client_id;
  std::string scope;
  LoginProof proof;
};

/// `POST {authority}/{tenant}/oauth2/v2.0/token`.
class EntraLogin final : public TokenSource {
 public:
  EntraLogin(LoginSettings settings, HttpClientOptions options);
  Task<TokenResult> fetch() override;
  bool proof_changed() override { return watch_ && watch_->changed(); }

 private:
  LoginSettings settings_;
  std::string host_;
  HttpClient http_;
  std::optional<FileWatch> watch_;
};

struct MachineIdentitySettings {
  Endpoint endpoint;     ///< link-local, where no packet leaves the machine's host
  std::string resource;  ///< a scope without its `/.default`
  /// Which user-assigned identity, by at most one of its names; none for the only one there is.
  std::string client_id;
  std::string object_id;
  std::string msi_res_id;
};

/// The endpoint that an Azure virtual machine has of old: http://169.254.169.254.
Endpoint machine_identity_endpoint();

/// `GET {endpoint}/metadata/identity/oauth2/token`.
class MachineIdentity final : public TokenSource {
 public:
  MachineIdentity(MachineIdentitySettings settings, HttpClientOptions options);
  Task<TokenResult> fetch() override;

 private:
  std::string target_;
  HttpClient http_;
};

}  // namespace batchd
