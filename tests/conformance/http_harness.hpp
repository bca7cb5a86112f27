// The real adapter over HTTP, with a batchd-sim of the test's own behind it.
#pragma once

#include "conformance/provider_harness.hpp"
#include "provider/openai_api.hpp"
#include "support/fixed_credential.hpp"
#include "support/sim_process.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace batchd::conformance {

class HttpHarness : public ProviderHarness {
 public:
  HttpHarness(std::string kind, std::string api_version) : kind_(std::move(kind)), api_version_(std::move(api_version)) {}

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
  void fault(const std::string& json);

  Metrics metrics{"test"};
  testing::FixedCredential credential{"test-key"};
  std::chrono::milliseconds idle_timeout{10'000};

 private:
  std::string kind_;
  std::string api_version_;
  bool allowed_ = true;
  Log log_{LogLevel::error, LogFormat::json};
  std::optional<testing::SimProcess> sim_;
  std::optional<HttpProvider> provider_;
};

}  // namespace batchd::conformance
