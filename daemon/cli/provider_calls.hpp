// A command's own calls to providers: the configuration's accounts, a loop to call them on, and what to say when one refuses.
// Owned by the command for as long as it runs; shares nothing with a daemon.
#pragma once

#include "log.hpp"
#include "metrics.hpp"
#include "providers.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <string>
#include <vector>

namespace batchd {

class ProviderCalls {
 public:
  /// `config` must outlive it. Throws a CommandError when a provider's settings turn out unusable.
  explicit ProviderCalls(const Config& config);

  Provider& at(const std::string& name) { return *providers_.by_name().at(name); }

  struct End {
    bool timed_out = false;
    std::string failure;  ///< what it threw, "" when it ended by itself
  };
  /// Runs the tasks side by side; each that has not ended after `limit` is cancelled (0: never). The ends, in the same order.
  std::vector<End> run(std::vector<std::function<Task<void>()>> tasks, Milliseconds limit);

 private:
  asio::io_context loop_{1};
  Log log_;
  Metrics metrics_;
  Providers providers_;  // gone before the loop that its connections belong to
};

/// What a refused or failed call means for an operator.
struct Advice {
  std::string what;      ///< the end of "the provider …"
  std::string remedy;    ///< what to do, without a full stop
  bool passing = false;  ///< it is likely to go away by itself
};
Advice advise(const ProviderConfig& provider, const ProviderError& error);

}  // namespace batchd
