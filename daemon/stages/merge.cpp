#include "stages/merge.hpp"

#include "stages/merger.hpp"

#include <exception>

namespace batchd {
namespace {

/// A result file that stays missing this often in a row is gone (deleted by someone, or expired before it was read).
constexpr int most_denials = 10;

}  // namespace

Task<int> MergeStage::run_once() { return lease_and_step(ShardState::finished); }

Task<void> MergeStage::step(Shard shard) {
  Provider* const provider = context_.provider_of(shard);
  const bool has_files = shard.output_file || shard.error_file;
  if (has_files && !provider) {
    co_await postpone(shard, Milliseconds{60'000});  // another replica's configuration may know it
    co_return;
  }
  auto set_aside = spool_.open(0);
  if (!set_aside) {
    co_await postpone(shard, Milliseconds{1000});
    co_return;
  }
  ShardContents contents = co_await context_.store.contents(shard.id);
  Merger merger(context_, shard, std::move(contents), std::move(*set_aside), settings_);
  std::exception_ptr thrown;
  std::optional<ProviderError> failed;
  try {
    for (const auto& file : {shard.output_file, shard.error_file}) {
      if (!file || failed || merger.lost()) continue;
      ByteSink sink = [&merger](std::string_view bytes) { return merger.feed(bytes); };
      const auto read = co_await provider->download(*file, sink);
      if (read.has_value()) {
        co_await merger.end_of_file();
      } else if (read.error().kind != ErrorKind::not_found || shard.failures < most_denials) {
        failed = read.error();
      }
    }
    if (!failed && !merger.lost()) co_await merger.finish();
  } catch (...) {
    thrown = std::current_exception();
  }
  if (thrown || failed) {
    // What was gathered is dropped, what was written stays: the next try skips it.
    try {
      co_await merger.await_write();
    } catch (const StoreError&) {
      if (!thrown) thrown = std::current_exception();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
  merger.report();
  if (merger.lost()) {
    context_.metrics.lease_lost();
    co_return;
  }
  if (failed) {
    co_await delay(shard, "download", *failed);
    co_return;
  }
  if (co_await advance(shard, Merged{}) == SaveResult::saved) {
    context_.bells.close.notify();
    context_.bells.plan.notify();  // requests may have come back
  }
}

}  // namespace batchd
