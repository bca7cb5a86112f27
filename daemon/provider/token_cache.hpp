// The token in use and when it is renewed: ahead of its end, once for all who ask, and while the service fails the old one
// goes on being used as long as it is valid. Owned by the wiring, one for each provider with Entra credentials.
// Times are the monotonic clock's. Failed exchanges are spaced out here, so that any number of callers is harmless.
#pragma once

#include "log.hpp"
#include "metrics.hpp"
#include "provider/credential.hpp"
#include "provider/token.hpp"
#include "runtime/clock.hpp"

#include <memory>
#include <optional>
#include <string>

namespace batchd {

class TokenCache final : public Credential {
 public:
  /// `provider` is its name, for metrics and logs.
  TokenCache(std::string provider, std::unique_ptr<TokenSource> source, Clock& clock, Metrics& metrics, Log& log)
      : provider_(std::move(provider)), source_(std::move(source)), clock_(clock), metrics_(metrics), log_(log) {}

  Task<ProviderResult<Authorization>> authorization() override;
  Task<ProviderResult<std::optional<Authorization>>> replacement(const Authorization& refused) override;
  Task<bool> tend() override;

 private:
  struct Held {
    std::string text;
    Clock::TimePoint renew_at;
    Clock::TimePoint expires_at;
  };
  /// Both are set by a failure and gone with a success.
  struct Trouble {
    TokenFailure last;
    int failures = 0;
    Clock::TimePoint since;
    Clock::TimePoint next_try;
  };

  bool valid() const { return held_ && clock_.now() < held_->expires_at; }
  bool may_try() const { return !trouble_ || clock_.now() >= trouble_->next_try; }
  /// Waits for an exchange under way, or makes one unless it is too early for another. Afterwards `valid()` tells.
  Task<void> exchange();
  void took(Token token, Clock::TimePoint asked);
  void failed(TokenFailure failure);
  void look_at_proof();
  ProviderError error() const;
  Authorization shown() const { return {Authorization::Scheme::bearer, held_->text}; }

  std::string provider_;
  std::unique_ptr<TokenSource> source_;
  Clock& clock_;
  Metrics& metrics_;
  Log& log_;
  std::optional<Held> held_;
  std::optional<Trouble> trouble_;
  bool exchanging_ = false;
  Wakeup exchanged_;
  bool worth_another_try_ = false;  ///< what tend() tells next
};

}  // namespace batchd
