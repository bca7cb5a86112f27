// The providers of a configuration as live ports, each with its credential. Owned by whoever works with them for a while: the
// daemon, or a command that looks at a provider.
#pragma once

#include "credentials.hpp"
#include "provider/openai_api.hpp"

#include <deque>
#include <map>
#include <string>

namespace batchd {

class Providers {
 public:
  /// `config`, `metrics` and `log` must outlive it. Throws std::runtime_error with a sentence when a provider cannot be used.
  Providers(const Config& config, Metrics& metrics, Log& log);

  const std::map<std::string, Provider*>& by_name() const { return by_name_; }

 private:
  std::deque<Credential> credentials_;
  std::deque<HttpProvider> ports_;
  std::map<std::string, Provider*> by_name_;
};

}  // namespace batchd
