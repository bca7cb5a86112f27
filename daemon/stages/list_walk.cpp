#include "stages/list_walk.hpp"

#include "core/list_guard.hpp"

namespace batchd {
namespace {

WalkEnd end_of(const ListGuard& guard) {
  return guard.fault().empty() ? WalkEnd::complete : WalkEnd::incomplete;
}

}  // namespace

Task<ProviderResult<WalkEnd>> walk_batch_pages(Provider& provider, std::function<Task<bool>(std::vector<Batch>)> visit) {
  ListGuard guard;
  std::optional<std::string> cursor;
  for (;;) {
    auto page = co_await provider.list_batches(cursor);
    if (page.has_error()) co_return page.error();
    std::vector<Batch> fresh;
    for (Batch& batch : page->batches) {
      if (guard.fresh(batch.id.value)) fresh.push_back(std::move(batch));
    }
    if (!co_await visit(std::move(fresh))) co_return WalkEnd::stopped;
    cursor = guard.next(page->next);
    if (!cursor) co_return end_of(guard);
  }
}

Task<ProviderResult<WalkEnd>> walk_batches(Provider& provider, std::function<bool(Batch&)> visit) {
  const auto show = [&visit](std::vector<Batch> page) -> Task<bool> {
    for (Batch& batch : page) {
      if (!visit(batch)) co_return false;
    }
    co_return true;
  };
  std::function<Task<bool>(std::vector<Batch>)> visit_page = show;
  co_return co_await walk_batch_pages(provider, std::move(visit_page));
}

Task<ProviderResult<WalkEnd>> walk_files(Provider& provider, std::function<bool(const RemoteFile&)> visit) {
  ListGuard guard;
  std::optional<std::string> cursor;
  for (;;) {
    const auto page = co_await provider.list_files(cursor);
    if (page.has_error()) co_return page.error();
    for (const RemoteFile& file : page->files) {
      if (guard.fresh(file.id.value) && !visit(file)) co_return WalkEnd::stopped;
    }
    cursor = guard.next(page->next);
    if (!cursor) co_return end_of(guard);
  }
}

}  // namespace batchd
