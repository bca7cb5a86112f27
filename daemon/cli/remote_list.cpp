#include "cli/remote_list.hpp"

#include "core/list_guard.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace batchd {
namespace {

constexpr Milliseconds first_wait{500};
constexpr Milliseconds longest_wait{60'000};

bool passing(const ProviderError& error) {
  return error.kind == ErrorKind::throttled || (error.kind == ErrorKind::unknown && error.status != 0);
}

Task<void> wait_for(Milliseconds time) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  timer.expires_after(time);
  co_await timer.async_wait(asio::use_awaitable);
}

std::vector<Batch>& entries(BatchPage& page) {
  return page.batches;
}
std::vector<RemoteFile>& entries(FilePage& page) {
  return page.files;
}

/// How a page is asked for.
template <class Page>
using Ask = std::function<Task<ProviderResult<Page>>(const std::optional<std::string>& after)>;

template <class Page>
Task<ProviderResult<Page>> ask_patiently(const Ask<Page>& ask, std::optional<std::string> after, int tries) {
  Milliseconds wait = first_wait;
  for (;;) {
    auto page = co_await ask(after);
    if (page.has_value() || --tries <= 0 || !passing(page.error())) co_return page;
    const Milliseconds asked = std::min(page.error().retry_after.value_or(wait), longest_wait);
    co_await wait_for(asked);
    wait = wait * 2;
  }
}

template <class Page, class Sink>
Task<ListEnd> walk(Ask<Page> ask, Sink sink, int tries) {
  ListGuard guard;
  ListEnd end;
  std::optional<std::string> cursor;
  for (;;) {
    auto page = co_await ask_patiently(ask, cursor, tries);
    if (page.has_error()) {
      end.error = page.error();
      co_return end;
    }
    auto& found = entries(*page);
    std::erase_if(found, [&guard](const auto& entry) { return !guard.fresh(entry.id.value); });
    if (!sink(found)) co_return end;
    cursor = guard.next(page->next);
    if (!cursor) break;
  }
  end.fault = guard.fault();
  co_return end;
}

}  // namespace

Task<ListEnd> each_batch(Provider& provider, const BatchFilter& only, BatchSink sink, int tries) {
  Ask<BatchPage> ask = [&provider, only](const auto& after) { return provider.list_batches(after, only); };
  return walk(std::move(ask), std::move(sink), tries);
}

Task<ListEnd> each_file(Provider& provider, FileSink sink, int tries) {
  Ask<FilePage> ask = [&provider](const auto& after) { return provider.list_files(after); };
  return walk(std::move(ask), std::move(sink), tries);
}

}  // namespace batchd
