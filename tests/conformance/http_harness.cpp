#include "conformance/http_harness.hpp"

#include "runtime/http_client.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>
#include <thread>

namespace batchd::conformance {
namespace {

using namespace std::chrono_literals;

const char* operation(Verb verb) {
  constexpr std::array names{"upload", "create_batch", "retrieve", "list", "cancel", "file", "download", "delete", "files"};
  return names[static_cast<std::size_t>(verb)];
}

std::string sha256(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out += digits[digest[i] >> 4];
    out += digits[digest[i] & 15];
  }
  return out;
}

constexpr const char* secret = "test-secret";

std::vector<ProviderCase> cases_of(const std::vector<HttpAccount>& accounts) {
  std::vector<ProviderCase> cases;
  for (const HttpAccount& account : accounts)
    cases.push_back({account.label, [account] { return std::make_unique<HttpHarness>(account); }});
  return cases;
}

const std::vector<HttpAccount> dialects{{"azure", "azure", "2024-10-21", ""},
                                        {"azure_preview", "azure", "2025-04-01-preview", ""},
                                        {"azure_v1", "azure-v1", "", ""},
                                        {"openai", "openai", "", ""},
                                        {"like_openai", "openai", "", "/gateway"}};

}  // namespace

std::vector<ProviderCase> http_cases() {
  return cases_of(dialects);
}

std::vector<ProviderCase> account_cases() {
  std::vector<HttpAccount> all = dialects;
  all.push_back({"azure_2025_03", "azure", "2025-03-01-preview", ""});
  const std::vector<HttpAccount> keys = all;
  for (const HttpAccount& dialect : keys) {
    if (dialect.kind == "openai") continue;  // knows keys only
    for (const auto& [name, login] :
         {std::pair{"_bearer_token", Login::bearer_token}, std::pair{"_client_secret", Login::client_secret},
          std::pair{"_workload_identity", Login::workload_identity}, std::pair{"_managed_identity", Login::managed_identity}}) {
      all.push_back(dialect);
      all.back().label += name;
      all.back().login = login;
    }
  }
  return cases_of(all);
}

void HttpHarness::start(const AccountRules& rules) {
  std::vector<std::string> options{"--fast"};
  const auto add = [&options](const char* name, std::string value) {
    options.emplace_back(name);
    options.push_back(std::move(value));
  };
  // A file of three lines holds some 50 tokens as the simulator counts them.
  if (rules.room != AccountRules::Room::ample) {
    add("--limit", rules.room == AccountRules::Room::none ? "1" : "80");
    add("--quota-mode", rules.late_quota ? "late" : "fast");
  }
  if (rules.slow_files) add("--file-pending", "1h");
  if (rules.unseen_files) add("--file-invisible", "1h");
  if (rules.slow_batches) add("--running", "1h");
  if (rules.unlisted_batches) add("--list-lag", "1h");
  if (rules.max_files > 0) {
    add("--max-files", std::to_string(rules.max_files));
    add("--max-files-expiring", std::to_string(rules.max_files));
  }
  if (rules.page_size > 0) add("--page-size", std::to_string(rules.page_size));
  if (rules.foreign_batches > 0) add("--foreign", std::to_string(rules.foreign_batches));
  start(std::move(options));
}

ProviderConfig HttpHarness::login() const {
  ProviderConfig config;
  config.name = "p";
  if (account_.has_secret_file()) {
    (account_.login == Login::key ? config.api_key_file : config.bearer_token_file) = secret_file();
    config.secret = read_secret_file(secret_file());
    return config;
  }
  EntraConfig& entra = config.entra;
  entra.scope = "https://cognitiveservices.azure.com/.default";
  entra.tenant_id = "tenant";
  entra.client_id = "client";
  entra.authority = entra.identity_endpoint = sim_->url();
  if (account_.login == Login::managed_identity) {
    entra.method = "managed-identity";
  } else if (account_.login == Login::workload_identity) {
    entra.method = "workload-identity";
    entra.token_file = secret_file();
  } else {
    entra.method = "client-secret";
    entra.client_secret_file = secret_file();
  }
  return config;
}

void HttpHarness::start(std::vector<std::string> options) {
  dir_.write("secret", secret);
  if (!account_.has_secret_file()) options.emplace_back("--require-token");
  if (account_.login == Login::client_secret) options.insert(options.end(), {"--client-secret", secret});
  if (account_.login == Login::workload_identity) options.insert(options.end(), {"--assertion-file", secret_file()});
  if (!account_.base_path.empty()) options.insert(options.end(), {"--base-path", account_.base_path});
  sim_.emplace(std::move(options));
  credential_ = make_credential(login(), clock_, metrics, log_);
  ProviderSettings settings;
  settings.name = "p";
  settings.kind = account_.kind;
  settings.api_version = account_.api_version;
  settings.endpoint = sim_->url() + account_.base_path;
  settings.credential = credential_.get();
  settings.may_call = [this] { return allowed_; };
  settings.http.idle_timeout = idle_timeout;
  provider_.emplace(std::move(settings), metrics, log_);
}

std::string HttpHarness::control(const std::string& path, const std::string& json) {
  HttpClient client(*parse_endpoint(sim_->url()), {});
  HttpRequest request;
  request.method = json.empty() && path.starts_with("/sim/ledger") ? "GET" : "POST";
  request.target = path;
  request.body = json;
  const HttpResult result = testing::run_task(io_, client.send(request));
  if (!result) throw std::runtime_error(result.error().message);
  if (result->status != 200) throw std::runtime_error(result->body);
  return result->body;
}

void HttpHarness::trouble(Verb verb, Trouble trouble) {
  const auto strike = [&](const std::string& members) {
    fault(std::string(R"({"operation":")") + operation(verb) + "\"," + members + "}");
  };
  switch (trouble) {
    case Trouble::lost_before:
      return strike(R"("fault":"reset_before")");
    case Trouble::lost_after:
      return strike(R"("fault":"reset_after")");
    case Trouble::busy_before:
      return strike(R"("fault":"503")");
    case Trouble::busy_after:
      return strike(R"("fault":"500_after")");
    case Trouble::throttled:
      return strike(R"("fault":"429","retry_after":"7")");
    case Trouble::unpaid:
      // With a token the call is made once more, with another one.
      return strike(account_.has_secret_file() ? R"("fault":"401")" : R"("fault":"401","times":2)");
    case Trouble::denied:
      return strike(R"("fault":"404")");
    case Trouble::cut:
      return strike(R"("fault":"truncate")");
    case Trouble::shortened:
      return strike(R"("fault":"shorten")");
    case Trouble::empty_page:
      return strike(R"("fault":"empty_page")");
  }
}

void HttpHarness::fate(Fate fate) {
  const char* const end = fate == Fate::expires_halfway ? "expired" : "failed";
  fault(std::string(R"({"operation":"create_batch","fault":"fate","fate":{"end":")") + end + R"(","share":0.5}})");
}

void HttpHarness::pass() {
  std::this_thread::sleep_for(5ms);
}

std::string HttpHarness::asking(Ask ask) const {
  constexpr std::array kinds{"", "400", "poison", "poison_silent", "poison_create", "poison_upload"};
  return ask == Ask::nothing ? "" : std::string(R"("user":"sim:)") + kinds[static_cast<std::size_t>(ask)] + "\",";
}

bool HttpHarness::answers(std::string_view response, std::string_view, std::string_view prompt) const {
  return response.find("sha256:" + sha256(prompt)) != std::string_view::npos;
}

}  // namespace batchd::conformance
