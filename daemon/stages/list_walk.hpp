// A walk through everything that a provider lists, page by page, whatever the pages look like (PROTOCOL.md 8, 18): an object that
// appears on two pages is shown once, and a list that goes in circles ends the walk instead of holding it.
#pragma once

#include "provider/provider.hpp"
#include "runtime/task.hpp"

#include <functional>
#include <vector>

namespace batchd {

enum class WalkEnd {
  complete,    ///< everything that is listed was shown
  stopped,     ///< the visitor had seen enough
  incomplete,  ///< the cursor stopped advancing although more was announced: what is beyond is not known
};

/// Shows each batch once, in the list's order and a page at a time, until `visit` returns false. The provider's error ends it.
Task<ProviderResult<WalkEnd>> walk_batch_pages(Provider& provider, std::function<Task<bool>(std::vector<Batch>)> visit);

/// Shows each batch once, in the list's order, until `visit` returns false. The provider's error ends it.
Task<ProviderResult<WalkEnd>> walk_batches(Provider& provider, std::function<bool(Batch&)> visit);

/// The same for files.
Task<ProviderResult<WalkEnd>> walk_files(Provider& provider, std::function<bool(const RemoteFile&)> visit);

}  // namespace batchd
