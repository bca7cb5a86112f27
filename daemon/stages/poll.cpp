#include "stages/poll.hpp"

#include <algorithm>

namespace batchd {
namespace {

constexpr int most_pages = 10'000;
/// A batch that the provider denies this often in a row is over, and its answers are lost (PROTOCOL.md 6).
constexpr int most_denials = 10;

bool has_error(const Batch& batch, std::initializer_list<std::string_view> codes) {
  return std::any_of(batch.errors.begin(), batch.errors.end(), [&](const BatchError& error) {
    return std::any_of(codes.begin(), codes.end(), [&](std::string_view code) {
      return error.code == code || error.message.find(code) != std::string::npos;
    });
  });
}

/// Failed without having run, for a reason that is not in the file.
bool failed_for_quota(const Batch& batch) {
  return batch.status == BatchStatus::failed && !batch.output_file_id && !batch.error_file_id &&
         has_error(batch, {"token_limit_exceeded"});
}
bool failed_for_account(const Batch& batch) {
  return batch.status == BatchStatus::failed && !batch.output_file_id && !batch.error_file_id &&
         has_error(batch, {"model_not_found", "insufficient_quota", "billing_hard_limit_reached"});
}

/// A stale replica of the provider may report an older state than one seen before (PROTOCOL.md 6): only move forward.
bool is_news(BatchStatus known, BatchStatus said) {
  return !is_terminal(said) && said != BatchStatus::unknown && (known == BatchStatus::unknown || said > known);
}

}  // namespace

Milliseconds PollStage::pause() const {
  const auto tenth = static_cast<std::uint64_t>(settings_.interval.count() / 10 + 1);
  const auto ticks = static_cast<std::uint64_t>(context_.clock.now().time_since_epoch().count());
  return settings_.interval + Milliseconds{static_cast<std::int64_t>(ticks / 1000 % tenth)};
}

Task<int> PollStage::run_once() {
  const Term term = context_.session.term();
  if (!co_await context_.store.hold_role(term, name())) co_return 0;
  Live live;
  std::vector<LiveBatch> batches = co_await context_.store.live_batches(provider_name_);
  for (LiveBatch& batch : batches) live.emplace(batch.batch, std::move(batch));
  if (live.empty()) co_return 0;

  const Live before = live;
  std::vector<Batch> seen;
  if (!co_await walk(live, seen)) co_return 0;
  co_await ask_one_by_one(live, seen);
  co_await note(before, seen);
  for (const Batch& batch : seen) {
    if (is_terminal(batch.status)) co_await finish(before.at(batch.id).shard, batch);
  }
  co_return 0;  // the next look waits for the interval, whatever was found
}

Task<bool> PollStage::walk(Live& live, std::vector<Batch>& seen) {
  std::optional<std::string> cursor;
  for (int page = 0; page < most_pages && !live.empty(); ++page) {
    auto batches = co_await provider_.list_batches(cursor);
    if (batches.has_error()) {
      context_.log.warn("poll.failed", {{"provider", provider_name_},
                                        {"kind", to_string(batches.error().kind)},
                                        {"status", batches.error().status},
                                        {"message", batches.error().message}});
      co_return false;
    }
    for (Batch& batch : batches->batches) {
      if (live.erase(batch.id) > 0) seen.push_back(std::move(batch));
    }
    if (!batches->next || batches->next == cursor) break;
    cursor = batches->next;
  }
  co_return true;
}

Task<void> PollStage::ask_one_by_one(const Live& live, std::vector<Batch>& seen) {
  for (const auto& [id, batch] : live) {
    if (!context_.session.trusted()) co_return;
    auto answer = co_await provider_.retrieve_batch(id);
    if (answer.has_value()) {
      answer->id = id;
      seen.push_back(std::move(*answer));
    } else if (answer.error().kind == ErrorKind::not_found) {
      co_await vanished(batch, answer.error());
    }
  }
}

Task<void> PollStage::note(const Live& before, const std::vector<Batch>& seen) {
  std::vector<LiveBatch> changed;
  for (const Batch& batch : seen) {
    LiveBatch live = before.at(batch.id);
    if (!is_news(live.status, batch.status)) continue;
    live.status = batch.status;
    context_.log.info("batch.status",
                      {{"shard", live.shard.value}, {"batch", batch.id.value}, {"status", to_string(batch.status)}});
    changed.push_back(std::move(live));
  }
  if (!changed.empty()) co_await context_.store.note_status(context_.session.term(), changed);
}

Task<void> PollStage::finish(ShardId id, const Batch& batch) {
  auto leased = co_await context_.store.lease_one(context_.session.term(), id, ShardState::submitted);
  if (!leased || leased->batch != batch.id) co_return;
  const BusyShards::Mark mark(context_.busy, id);
  Shard shard = std::move(*leased);
  const bool account = failed_for_account(batch);
  if (account || failed_for_quota(batch)) {
    const BatchError reason = batch.errors.front();
    const ProviderError error{account ? ErrorKind::account : ErrorKind::quota, 0, reason.code, reason.message, {}};
    if (account) co_await pause_lane(shard, error);
    const Milliseconds later = retry_delay(shard, error);
    context_.log.warn("batch.not_run", {{"shard", id.value},
                                        {"batch", batch.id.value},
                                        {"code", reason.code},
                                        {"message", reason.message},
                                        {"retry_in_ms", later.count()}});
    const ShardEvent event = NotRun{later};
    co_await advance(shard, event);
    co_return;
  }
  const ShardEvent event = Ended{batch};
  if (co_await advance(shard, event) != SaveResult::saved) co_return;
  context_.bells.merge.notify();
  context_.bells.submit.notify();  // room was freed
}

Task<void> PollStage::vanished(const LiveBatch& live, const ProviderError& error) {
  auto leased = co_await context_.store.lease_one(context_.session.term(), live.shard, ShardState::submitted);
  if (!leased) co_return;
  const BusyShards::Mark mark(context_.busy, live.shard);
  Shard shard = std::move(*leased);
  if (shard.failures < most_denials) {
    co_await delay(shard, "retrieve_batch", error);
    co_return;
  }
  Batch gone;
  gone.id = live.batch;
  gone.status = BatchStatus::failed;
  gone.errors.push_back({"batch_vanished", "the provider does not know the batch any more", std::nullopt});
  const ShardEvent event = Ended{gone};
  co_await advance(shard, event);
  context_.bells.merge.notify();
}

}  // namespace batchd
