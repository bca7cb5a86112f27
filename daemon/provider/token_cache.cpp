#include "provider/token_cache.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace batchd {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

/// A token is renewed this long before its end, and never later than when 70 % of its life is over (14.6).
constexpr Milliseconds ahead = minutes(5);
/// After the first failure; doubled by each one more: tries at about 0, 2, 6, 14, 30 s (14.5).
constexpr Milliseconds first_wait = seconds(2);
constexpr Milliseconds longest_wait = seconds(60);
/// What should pass by itself and has not after so long is told as a failure of the account, which pauses the lane where
/// people see it. Long enough for an upgrade of the identity endpoint (70 s) and for a new federated credential to spread.
constexpr Milliseconds patience = minutes(5);

}  // namespace

Task<ProviderResult<Authorization>> TokenCache::authorization() {
  look_at_proof();
  if (!valid()) co_await exchange();
  if (!valid()) co_return error();
  co_return shown();
}

Task<ProviderResult<std::optional<Authorization>>> TokenCache::replacement(const Authorization& refused) {
  look_at_proof();
  if (held_ && held_->text == refused.secret) {
    log_.warn("token.refused", {{"provider", provider_}});
    held_.reset();
  }
  if (!valid()) co_await exchange();
  if (!valid()) co_return error();
  if (held_->text == refused.secret) co_return std::optional<Authorization>();  // the service gives the same one again
  co_return std::optional<Authorization>(shown());
}

Task<bool> TokenCache::tend() {
  look_at_proof();
  // Where nobody has asked for a token yet there is nothing to renew.
  const bool due = held_ ? clock_.now() >= held_->renew_at : trouble_.has_value();
  if (due && may_try() && !exchanging_) co_await exchange();
  co_return std::exchange(worth_another_try_, false);
}

Task<void> TokenCache::exchange() {
  while (exchanging_) co_await clock_.sleep_for(seconds(60), exchanged_);
  const bool due = !valid() || clock_.now() >= held_->renew_at;
  if (!due || !may_try()) co_return;
  exchanging_ = true;
  const auto ended = [](TokenCache* cache) {
    cache->exchanging_ = false;
    cache->exchanged_.notify();
  };
  // Also when the waiting task is stopped in the middle: the next one who asks begins again.
  const std::unique_ptr<TokenCache, decltype(ended)> exchanging(this, ended);
  const Clock::TimePoint asked = clock_.now();
  TokenResult result = co_await source_->fetch();
  const std::chrono::duration<double> taken = clock_.now() - asked;
  if (result || result.error().called) metrics_.provider_call(provider_, "token", result ? 200 : result.error().status, taken);
  if (result) {
    took(std::move(*result), asked);
  } else {
    failed(std::move(result.error()));
  }
}

void TokenCache::took(Token token, Clock::TimePoint asked) {
  const Milliseconds margin = std::min<Milliseconds>(ahead, token.life * 3 / 10);
  held_ = Held{std::move(token.text), asked + token.life - margin, asked + token.life};
  log_.info("token.fetched", {{"provider", provider_}, {"seconds", std::chrono::duration_cast<seconds>(token.life).count()}});
  worth_another_try_ = worth_another_try_ || trouble_.has_value();
  trouble_.reset();
}

void TokenCache::failed(TokenFailure failure) {
  const Clock::TimePoint now = clock_.now();
  if (!trouble_) trouble_ = Trouble{{}, 0, now, now};
  const int doublings = std::min(trouble_->failures++, 10);
  const Milliseconds wait = std::min<Milliseconds>(first_wait * (1 << doublings), longest_wait);
  trouble_->next_try = now + std::max(wait, failure.retry_after.value_or(Milliseconds{0}));
  trouble_->last = std::move(failure);
  log_.warn("token.failed", {{"provider", provider_},
                             {"status", trouble_->last.status},
                             {"code", trouble_->last.code},
                             {"message", trouble_->last.message},
                             {"still_valid", valid()},
                             {"retry_in_ms", std::chrono::duration_cast<Milliseconds>(trouble_->next_try - now).count()}});
}

void TokenCache::look_at_proof() {
  if (!source_->proof_changed()) return;
  log_.info("credential.changed", {{"provider", provider_}});
  worth_another_try_ = true;
  if (trouble_) trouble_->next_try = clock_.now();
}

ProviderError TokenCache::error() const {
  ProviderError error;
  error.kind = ErrorKind::not_sent;
  if (!trouble_) {  // it was valid for less time than it took to come
    error.message = "no Entra token: it had run out when it came";
    return error;
  }
  const Clock::TimePoint now = clock_.now();
  if (trouble_->last.lasting || now - trouble_->since >= patience) error.kind = ErrorKind::account;
  error.code = trouble_->last.code.empty() ? "no_token" : trouble_->last.code;
  error.message = "no Entra token: " + trouble_->last.message;
  error.retry_after = std::max(std::chrono::ceil<Milliseconds>(trouble_->next_try - now), Milliseconds{0});
  return error;
}

}  // namespace batchd
