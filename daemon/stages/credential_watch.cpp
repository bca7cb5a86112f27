#include "stages/credential_watch.hpp"

namespace batchd {
namespace {

constexpr Milliseconds interval{1000};

}  // namespace

CredentialWatch::CredentialWatch(StageContext& context, const Credentials& credentials)
    : context_(context), credentials_(credentials) {
  for (const auto& [provider, credential] : credentials_) changed_.insert(provider);
}

Task<void> CredentialWatch::run() {
  for (;;) {
    for (const auto& [provider, credential] : credentials_) {
      if (co_await credential->tend()) changed_.insert(provider);
    }
    const std::set<std::string> changed = changed_;
    for (const std::string& provider : changed) co_await try_again(provider);
    context_.metrics.loop_beat("credentials");
    co_await context_.clock.sleep_for(interval);
  }
}

Task<void> CredentialWatch::try_again(std::string provider) {
  try {
    const std::vector<std::string> lifted = co_await context_.store.retry_account(provider);
    changed_.erase(provider);
    for (const std::string& deployment : lifted) {
      context_.log.info("lane.resumed", {{"deployment", deployment}, {"provider", provider}, {"reason", "credential"}});
    }
    if (lifted.empty()) co_return;
    Bells& bells = context_.bells;
    for (Wakeup* bell : {&bells.plan, &bells.upload, &bells.submit, &bells.merge, &bells.close}) bell->notify();
  } catch (const StoreError& error) {
    context_.log.warn("credentials.failed", {{"provider", provider}, {"error", error.what()}});
  }
}

}  // namespace batchd
