// The simulation's fake provider, in the manner of Azure and of OpenAI.
#include "conformance/provider_harness.hpp"
#include "simulation/cloud/fake_provider.hpp"
#include "simulation/cloud/prompt.hpp"

#include <array>

namespace batchd::conformance {
namespace {

using namespace std::chrono_literals;
using simulation::CloudFault;
using simulation::CloudFaults;
using simulation::CloudSettings;
using simulation::FakeCloud;
using simulation::FakeProvider;
using simulation::Passage;

/// Loses or refuses a call when it is told to.
class ScriptedWire final : public simulation::Wire {
 public:
  Task<Passage> there(std::string_view) override { co_return std::exchange(next_there, after_that); }
  Task<Passage> back(std::string_view) override { co_return std::exchange(next_back, Passage::through); }

  Passage next_there = Passage::through;
  Passage after_that = Passage::through;
  Passage next_back = Passage::through;
};

class CloudHarness final : public ProviderHarness {
 public:
  explicit CloudHarness(bool azure) : azure_(azure) {}

  void start(const AccountRules& rules) override;
  Provider& provider() override { return *provider_; }
  bool is_azure() const override { return azure_; }
  void trouble(Verb verb, Trouble trouble) override;
  void fate(Fate fate) override;
  void stop_listening() override { wire_.next_there = wire_.after_that = Passage::refused; }
  void allow_calls(bool allowed) override { allowed_ = allowed; }
  void pass() override { now_ += 1s; }
  std::string asking(Ask ask) const override;
  bool answers(std::string_view response, std::string_view body, std::string_view prompt) const override;

 private:
  bool azure_;
  bool allowed_ = true;
  Milliseconds now_{0};
  ScriptedWire wire_;
  std::optional<FakeCloud> cloud_;
  std::unique_ptr<Provider> provider_;
};

void CloudHarness::start(const AccountRules& rules) {
  CloudSettings settings = azure_ ? CloudSettings::azure_like() : CloudSettings::openai_like();
  settings.limits.max_files = azure_ ? rules.max_files : 0;
  if (rules.page_size > 0) settings.page_size = rules.page_size;
  settings.instance = "i";
  settings.foreign_batches = rules.foreign_batches;
  settings.processing = settings.validating = settings.running = settings.finalizing = settings.cancelling = {0ms, 0ms};
  if (rules.slow_files) settings.processing = {1h, 1h};
  if (rules.slow_batches) settings.running = {1h, 1h};
  if (rules.unlisted_batches) settings.list_lag = {1h, 1h};
  if (rules.unseen_files) settings.faults[CloudFault::file_unseen] = 1;
  settings.unseen = {1h, 1h};
  settings.retry_after_given = 1;
  settings.retry_after = {7s, 7s};
  settings.outage = {0ms, 0ms};
  settings.least_share = settings.most_share = 0.5;
  // A file of three lines holds some 100 tokens.
  if (rules.room != AccountRules::Room::ample) {
    settings.deployments["m"] = rules.room == AccountRules::Room::none ? 1 : 150;
    settings.late_quota = rules.late_quota ? 1 : 0;
  }
  cloud_.emplace([this] { return now_; }, simulation::Dice(1), std::move(settings));
  provider_ = std::make_unique<FakeProvider>(*cloud_, wire_, [this] { return allowed_; });
}

void CloudHarness::trouble(Verb verb, Trouble trouble) {
  switch (trouble) {
    case Trouble::lost_before:
      wire_.next_there = Passage::lost;
      break;
    case Trouble::lost_after:
      wire_.next_back = Passage::lost;
      break;
    case Trouble::busy_before:
      return cloud_->strike_next(CloudFault::no_effect);
    case Trouble::busy_after:
      return cloud_->strike_next(CloudFault::no_answer);
    case Trouble::throttled:
      return cloud_->strike_next(CloudFault::throttled);
    case Trouble::unpaid:
      return cloud_->strike_next(CloudFault::account_outage);
    case Trouble::denied:
      return cloud_->strike_next(verb == Verb::download ? CloudFault::download_denied : CloudFault::denied);
    case Trouble::cut:
      return cloud_->strike_next(CloudFault::download_cut);
    case Trouble::shortened:
      return cloud_->strike_next(CloudFault::download_short);
    case Trouble::empty_page:
      return cloud_->strike_next(CloudFault::page_empty);
  }
}

void CloudHarness::fate(Fate fate) {
  cloud_->strike_next(fate == Fate::expires_halfway ? CloudFault::expires : CloudFault::fails_late);
}

std::string CloudHarness::asking(Ask ask) const {
  constexpr std::array words{"", "refused", "poison", "silent", "create", "upload"};
  return ask == Ask::nothing ? "" : std::string(R"("user":"cloud:)") + words[static_cast<std::size_t>(ask)] + "\",";
}

bool CloudHarness::answers(std::string_view response, std::string_view body, std::string_view) const {
  const auto mark = simulation::mark_of(response);
  return mark && mark->prompt == simulation::prompt_hash(body);
}

}  // namespace

std::vector<ProviderCase> cloud_cases() {
  return {{"fake_azure", [] { return std::make_unique<CloudHarness>(true); }},
          {"fake_openai", [] { return std::make_unique<CloudHarness>(false); }}};
}

}  // namespace batchd::conformance
