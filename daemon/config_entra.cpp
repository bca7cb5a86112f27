// The keys of a [[provider]] that shows Microsoft Entra tokens instead of an API key: which belong to which method, what
// workload identity takes from its environment, what is derived. Every mistake is reported, not only the first.
#include "config_check.hpp"
#include "config_values.hpp"
#include "core/endpoint.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace batchd {
namespace {

constexpr std::string_view default_scope = "https://cognitiveservices.azure.com/.default";
constexpr std::string_view default_authority = "https://login.microsoftonline.com";

/// Which methods know a key.
struct EntraKey {
  std::string_view name;
  std::string EntraConfig::*value;
  bool secret, workload, machine;
  bool belongs_to(std::string_view method) const {
    return (secret && method == "client-secret") || (workload && method == "workload-identity") ||
           (machine && method == "managed-identity");
  }
};
constexpr std::array<EntraKey, 9> entra_keys{{
    {"tenant_id", &EntraConfig::tenant_id, true, true, false},
    {"client_id", &EntraConfig::client_id, true, true, true},
    {"object_id", &EntraConfig::object_id, false, false, true},
    {"msi_res_id", &EntraConfig::msi_res_id, false, false, true},
    {"client_secret_file", &EntraConfig::client_secret_file, true, false, false},
    {"token_file", &EntraConfig::token_file, false, true, false},
    {"authority", &EntraConfig::authority, true, true, false},
    {"scope", &EntraConfig::scope, true, true, true},
    {"identity_endpoint", &EntraConfig::identity_endpoint, false, false, true},
}};

std::string methods_of(const EntraKey& key) {
  std::string out;
  for (const char* method : {"client-secret", "managed-identity", "workload-identity"}) {
    if (key.belongs_to(method)) out += (out.empty() ? "" : " or ") + in_quotes(method);
  }
  return out;
}

/// One provider's keys being checked.
struct Check {
  const Desk& desk;
  ProviderConfig& provider;
  const std::string& path;  // `provider[0].`
  const std::string& key;   // `provider[eastus].`
  const Environment& environment;

  std::string from_environment(const std::string& name) const {
    const auto found = environment.find(name);
    return found == environment.end() ? "" : found->second;
  }
  bool given(std::string_view name) const { return desk.given.contains(path + std::string(name)); }
  void report(std::string_view name, std::string found, std::string expected) const {
    desk.report(path + std::string(name), key + std::string(name), std::move(found), std::move(expected));
  }
};

void check_what_belongs(const Check& check) {
  const EntraConfig& entra = check.provider.entra;
  for (const EntraKey& known : entra_keys) {
    if (!check.given(known.name) || known.belongs_to(entra.method)) continue;
    const std::string found = in_quotes(entra.*known.value);
    check.report(known.name, found,
                 entra.method.empty()
                     ? "entra = " + methods_of(known) + " beside it"
                     : "no such key with entra = " + in_quotes(entra.method) + ": it belongs to " + methods_of(known));
  }
}

void check_no_key(const Check& check) {
  const std::string variable = api_key_variable(check.provider.name);
  for (const std::string name : {"api_key_file", "bearer_token_file"}) {
    if (check.given(name)) check.report(name, name + " and entra", "one of the two only");
  }
  if (!check.from_environment(variable).empty()) {
    check.report("entra", "entra, and an API key in the environment variable " + variable, "one of the two only");
  }
}

/// From the file or, with workload identity, from what the cluster has set.
void take(const Check& check, std::string_view name, std::string& value, const char* variable, const std::string& what) {
  const bool workload = check.provider.entra.method == "workload-identity";
  if (value.empty() && workload) value = check.from_environment(variable);
  if (!value.empty() || check.given(name)) return;  // a bad value is reported already
  check.report(name, "", workload ? what + ", here or in the environment variable " + variable : what);
}

void check_id(const Check& check, std::string_view name, const std::string& value) {
  const auto usual = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  };
  if (value.empty() || std::all_of(value.begin(), value.end(), usual)) return;
  check.report(name, in_quotes(value), "letters, digits, '-', '.' and '_' only, such as 00000000-1111-2222-3333-444444444444");
}

void check_client_secret(const Check& check) {
  EntraConfig& entra = check.provider.entra;
  const std::string variable = client_secret_variable(check.provider.name);
  if (const std::string value = check.from_environment(variable); !value.empty()) {
    entra.client_secret = Secret(value);
    entra.client_secret_file.clear();
  } else if (entra.client_secret_file.empty()) {
    if (check.given("client_secret_file") || check.given("client_secret")) return;
    check.report("client_secret_file", "",
                 "a file that holds the client secret, or the secret itself in the environment variable " + variable);
  } else {
    try {
      entra.client_secret = read_secret_file(entra.client_secret_file);
    } catch (const std::runtime_error& error) {
      check.report("client_secret_file", error.what(), "a file that holds the client secret on one line");
    }
  }
}

void check_url(const Check& check, std::string_view name, std::string& url, bool loopback_only) {
  const auto endpoint = parse_endpoint(url);
  if (endpoint.has_error()) {
    const bool secret = url.find('@') != std::string::npos;
    check.report(name, secret ? "a value (not shown)" : in_quotes(url),
                 (loopback_only ? "an http:// URL on loopback (" : "an https:// URL, or an http:// one on loopback (") +
                     endpoint.error().message + ")");
  } else if (loopback_only && !is_loopback(endpoint->host)) {
    check.report(name, in_quotes(url), "an http:// URL on loopback: any other machine is asked nothing about identities");
  }
  while (url.ends_with('/')) url.pop_back();
}

void check_machine(const Check& check) {
  EntraConfig& entra = check.provider.entra;
  if (!entra.identity_endpoint.empty()) check_url(check, "identity_endpoint", entra.identity_endpoint, true);
  check_id(check, "object_id", entra.object_id);
  std::string given;
  for (const EntraKey& key : entra_keys) {
    if (key.name != "client_id" && key.name != "object_id" && key.name != "msi_res_id") continue;
    if ((entra.*key.value).empty()) continue;
    if (!given.empty()) check.report(key.name, given + " and " + std::string(key.name), "one of the two only");
    given = key.name;
  }
}

void check_login(const Check& check, std::vector<std::string>& warnings) {
  EntraConfig& entra = check.provider.entra;
  take(check, "tenant_id", entra.tenant_id, "AZURE_TENANT_ID", "the tenant's id or domain");
  take(check, "client_id", entra.client_id, "AZURE_CLIENT_ID", "the application's (client) id");
  if (entra.authority.empty() && entra.method == "workload-identity")
    entra.authority = check.from_environment("AZURE_AUTHORITY_HOST");
  if (entra.authority.empty()) entra.authority = default_authority;
  check_url(check, "authority", entra.authority, false);
  check_id(check, "tenant_id", entra.tenant_id);
  if (entra.method == "client-secret") {
    check_client_secret(check);
    return;
  }
  take(check, "token_file", entra.token_file, "AZURE_FEDERATED_TOKEN_FILE", "the file that holds the federated token");
  // It may be away for a moment while it is rotated, and is read when a token is needed.
  if (!entra.token_file.empty() && access(entra.token_file.c_str(), R_OK) != 0)
    warnings.push_back(check.key + "token_file: " + in_quotes(entra.token_file) + " cannot be read now");
}

}  // namespace

void check_entra(const Desk& desk, ProviderConfig& provider, const std::string& path, const std::string& key,
                 const Environment& environment, std::vector<std::string>& warnings) {
  const Check check{desk, provider, path, key, environment};
  EntraConfig& entra = provider.entra;
  check_what_belongs(check);
  if (entra.method.empty()) return;
  check_no_key(check);
  if (provider.kind == "openai")
    check.report("entra", in_quotes(entra.method), "an api_key_file: kind openai knows API keys only");
  if (entra.method == "managed-identity") {
    check_machine(check);
  } else {
    check_login(check, warnings);
  }
  check_id(check, "client_id", entra.client_id);
  if (entra.scope.empty()) entra.scope = default_scope;
  const bool bad = entra.scope.find_first_of(" \t") != std::string::npos;
  if (bad || !entra.scope.ends_with("/.default")) {
    check.report("scope", in_quotes(entra.scope), "one scope that ends in /.default, such as " + std::string(default_scope));
  }
}

}  // namespace batchd
