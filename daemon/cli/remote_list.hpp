// A provider's lists as commands read them: every page, each entry once, whatever the pages look like, and with patience for a
// provider that says "later". Commands run it on a loop of their own.
#pragma once

#include "provider/provider.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace batchd {

struct ListEnd {
  std::optional<ProviderError> error;  ///< the list could not be read to its end
  std::string fault;                   ///< the list itself leads nowhere (list_guard.hpp); "" when it was whole
};

/// Receives the new entries of a page; what it throws ends the walk. False: that is enough.
using BatchSink = std::function<bool(const std::vector<Batch>&)>;
using FileSink = std::function<bool(const std::vector<RemoteFile>&)>;

/// A page that fails for a passing reason is asked for up to `tries` times.
/// `only` as for Provider::list_batches().
Task<ListEnd> each_batch(Provider& provider, const BatchFilter& only, BatchSink sink, int tries);
Task<ListEnd> each_file(Provider& provider, FileSink sink, int tries);

}  // namespace batchd
