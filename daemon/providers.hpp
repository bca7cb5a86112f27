// The providers of a configuration as live ports, each with its credential. Owned by whoever works with them for a while: the
// daemon, or a command that looks at a provider.
#pragma once

#include "core/planning.hpp"
#include "credentials.hpp"
#include "provider/openai_api.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace batchd {

/// What each deployment of a configuration takes.
std::vector<Offer> offers_of(const Config& config);

class Providers {
 public:
  /// `config`, `metrics` and `log` must outlive it. `may_call` as in ProviderSettings: a daemon gives one, and its calls are
  /// guarded besides; a command, which gives none, makes a few calls and has a patience of its own. Throws std::runtime_error
  /// with a sentence when a provider cannot be used.
  Providers(const Config& config, Metrics& metrics, Log& log, std::function<bool()> may_call = {});

  const std::map<std::string, Provider*>& by_name() const { return by_name_; }
  /// By the provider's name, for whoever keeps them fresh.
  const std::map<std::string, std::unique_ptr<Credential>>& credentials() const { return credentials_; }

 private:
  SteadyClock clock_;
  std::map<std::string, std::unique_ptr<Credential>> credentials_;
  std::deque<CallGuard> guards_;
  std::deque<HttpProvider> ports_;
  std::map<std::string, Provider*> by_name_;
};

}  // namespace batchd
