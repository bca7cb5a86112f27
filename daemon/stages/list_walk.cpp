#include "stages/list_walk.hpp"

#include <unordered_set>

namespace batchd {

Task<ProviderResult<WalkEnd>> walk_batches(Provider& provider, std::function<bool(Batch&)> visit) {
  std::unordered_set<BatchId> shown;
  std::unordered_set<std::string> cursors;
  std::optional<std::string> cursor;
  for (;;) {
    auto page = co_await provider.list_batches(cursor);
    if (page.has_error()) co_return page.error();
    bool anything_new = false;
    for (Batch& batch : page->batches) {
      if (!shown.insert(batch.id).second) continue;
      anything_new = true;
      if (!visit(batch)) co_return WalkEnd::stopped;
    }
    // An empty page is the end whatever it announces: there is nothing to go on from.
    if (!page->next || page->batches.empty()) co_return WalkEnd::complete;
    if (!anything_new || !cursors.insert(*page->next).second) co_return WalkEnd::incomplete;
    cursor = page->next;
  }
}

}  // namespace batchd
