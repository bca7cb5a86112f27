#include "stages/list_walk.hpp"

#include "core/list_guard.hpp"

namespace batchd {

Task<ProviderResult<WalkEnd>> walk_batches(Provider& provider, std::function<bool(Batch&)> visit) {
  ListGuard guard;
  std::optional<std::string> cursor;
  for (;;) {
    auto page = co_await provider.list_batches(cursor);
    if (page.has_error()) co_return page.error();
    for (Batch& batch : page->batches) {
      if (guard.fresh(batch.id.value) && !visit(batch)) co_return WalkEnd::stopped;
    }
    // An empty page is the end whatever it announces: there is nothing to go on from.
    if (page->batches.empty()) co_return WalkEnd::complete;
    cursor = guard.next(page->next);
    if (!cursor) co_return guard.fault().empty() ? WalkEnd::complete : WalkEnd::incomplete;
  }
}

}  // namespace batchd
