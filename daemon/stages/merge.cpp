#include "stages/merge.hpp"

#include "stages/merger.hpp"

#include <algorithm>
#include <exception>
#include <vector>

namespace batchd {
namespace {

/// A result file that is denied this often in a row is gone (deleted by someone, or expired before it was read). Nothing else
/// that fails counts: what is given up here is bought again.
constexpr int most_denials = 10;
/// One that ends early this often in a row has no more.
constexpr int most_short_reads = 10;

}  // namespace

Task<int> MergeStage::run_once() {
  return lease_and_step(ShardState::finished);
}

/// Feeds a whole file to the merger; the error when it could not be read whole. A file that is gone for good reads as empty.
Task<std::optional<ProviderError>> MergeStage::read_file(const Shard& shard, const FileId& file, Provider& provider,
                                                         Merger& merger) {
  ByteSink sink = [&merger](std::string_view bytes) { return merger.feed(bytes); };
  const auto read = co_await provider.download(file, sink);
  if (read.has_error()) {
    if (read.error().kind != ErrorKind::not_found || shard.denials < most_denials) co_return read.error();
    if (!shard.doubtful) co_return std::nullopt;
    co_return ProviderError{ErrorKind::not_found, read.error().status, std::string(answers_lost), read.error().message, {}};
  }
  const bool whole_line = co_await merger.end_of_file();
  if (merger.lost() || shard.short_reads >= most_short_reads) co_return std::nullopt;
  // A body may be cut short under an honest Content-Length (PROTOCOL.md 18), and what is missing would be bought again:
  // believe the file only when it is as long as the provider says it is, and does not end inside a line.
  const auto described = co_await provider.retrieve_file(file);
  const bool short_read = described.has_value() && described->bytes && *described->bytes != *read;
  if (!short_read && whole_line) co_return std::nullopt;
  co_return ProviderError{ErrorKind::cut_short, 200, "short_file", "the result file ended early", std::nullopt};
}

Task<std::optional<ProviderError>> MergeStage::read_strays(const Shard& shard, const std::vector<Stray>& strays,
                                                           Provider& provider, Merger& merger) {
  std::optional<ProviderError> failed;
  merger.only_successes(true);
  for (const Stray& stray : strays) {
    if (!stray.output_file || failed || merger.lost()) continue;
    failed = co_await read_file(shard, *stray.output_file, provider, merger);
  }
  merger.only_successes(false);
  co_return failed;
}

Task<std::optional<ProviderError>> MergeStage::read_answers(const Shard& shard, const std::vector<Stray>& strays,
                                                            Provider* provider, Merger& merger) {
  std::optional<ProviderError> failed;
  if (shard.output_file) failed = co_await read_file(shard, *shard.output_file, *provider, merger);
  if (!strays.empty() && !failed && !merger.lost()) failed = co_await read_strays(shard, strays, *provider, merger);
  if (shard.error_file && !failed && !merger.lost()) failed = co_await read_file(shard, *shard.error_file, *provider, merger);
  if (failed || merger.lost()) co_return failed;
  merger.weigh();
  if (merger.lane_failure()) co_await pause_lane(shard, *merger.lane_failure(), "account");
  co_await merger.finish();
  co_return failed;
}

bool MergeStage::worth_waiting(const std::vector<Stray>& strays) const {
  return std::any_of(strays.begin(), strays.end(),
                     [this](const Stray& stray) { return !stray.over && stray.age < settings_.stray_patience; });
}

Task<void> MergeStage::note_used(const Shard& shard, std::vector<Stray> strays) {
  for (Stray& stray : strays) {
    if (stray.used) continue;
    stray.used = true;
    co_await context_.store.update_stray(shard.provider, stray, false);
  }
}

Task<void> MergeStage::step(Shard shard) {
  Provider* const provider = context_.provider_of(shard);
  std::vector<Stray> strays = co_await context_.store.strays_of(shard.id);
  if (worth_waiting(strays)) {
    co_await postpone(shard, stray_interval);
    co_return;
  }
  std::erase_if(strays, [](const Stray& stray) { return !stray.over || !stray.output_file; });
  const bool has_files = shard.output_file || shard.error_file || !strays.empty();
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
  bool complete = true;
  try {
    if (shard.finish_reason != FinishReason::refused) {
      failed = co_await read_answers(shard, strays, provider, merger);
    } else if (strays.empty()) {
      complete = co_await decide_refused(shard, merger);
    } else {
      // The same file did run once: what is not answered goes round again, and nobody is blamed.
      failed = co_await read_strays(shard, strays, *provider, merger);
      if (!failed && !merger.lost()) co_await release(merger);
    }
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
  if (merger.lost()) {
    context_.metrics.lease_lost();
    co_return;
  }
  if (failed) {
    co_await delay(shard, "download", *failed);
    co_return;
  }
  if (!complete) {
    co_await postpone(shard, trial_interval);
    co_return;
  }
  merger.report();
  co_await note_used(shard, std::move(strays));
  if (co_await advance(shard, Merged{}) == SaveResult::saved) {
    context_.bells.close.notify();
    context_.bells.plan.notify();  // requests may have come back
  }
}

}  // namespace batchd
