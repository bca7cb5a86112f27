// The real adapter over HTTP, with a batchd-sim of the test's own behind it.
#pragma once

#include "conformance/provider_harness.hpp"
#include "credentials.hpp"
#include "provider/openai_api.hpp"
#include "support/sim_process.hpp"
#include "support/temp_dir.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace batchd::conformance {

/// How an account shows who it is (PROTOCOL.md 14).
enum class Login { key, bearer_token, client_secret, workload_identity, managed_identity };

/// One of the accounts that a user may configure.
struct HttpAccount {
  std::string label;
  std::string kind;
  std::string api_version;  ///< "" where there is none
  std::string base_path;    ///< of what only resembles OpenAI
  Login login = Login::key;

  bool has_secret_file() const { return login == Login::key || login == Login::bearer_token; }
};

class HttpHarness : public ProviderHarness {
 public:
  explicit HttpHarness(HttpAccount account) : account_(std::move(account)) {}

  void start(const AccountRules& rules) override;
  Provider& provider() override { return *provider_; }
  bool is_azure() const override { return provider_->dialect().file_must_be_processed; }
  void trouble(Verb verb, Trouble trouble) override;
  void fate(Fate fate) override;
  void stop_listening() override { sim_.reset(); }
  void allow_calls(bool allowed) override { allowed_ = allowed; }
  void pass() override;
  std::string asking(Ask ask) const override;
  bool answers(std::string_view response, std::string_view body, std::string_view prompt) const override;

  /// With the simulator's own switches.
  void start(std::vector<std::string> options);
  /// As POST /sim/faults takes it.
  void fault(const std::string& json) { control("/sim/faults", json); }
  /// A call of the simulator's control plane; returns what it says.
  std::string control(const std::string& path, const std::string& json = "");
  const HttpAccount& account() const { return account_; }
  /// Where the key or the secret lies that the account logs in with.
  std::filesystem::path secret_file() const { return dir_.path() / "secret"; }

  Metrics metrics{"test"};
  std::chrono::milliseconds idle_timeout{10'000};

 private:
  ProviderConfig login() const;

  HttpAccount account_;
  testing::TempDir dir_;
  bool allowed_ = true;
  SteadyClock clock_;
  Log log_{LogLevel::error, LogFormat::json};
  std::optional<testing::SimProcess> sim_;
  std::unique_ptr<Credential> credential_;
  std::optional<HttpProvider> provider_;
};

}  // namespace batchd::conformance
