#include "stages/poll.hpp"

#include "core/refusal.hpp"
#include "stages/list_walk.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// A batch that the provider denies this often in a row is over, and its answers are lost (PROTOCOL.md 6).
constexpr int most_batch_denials = 10;

/// How often a file that failed for no reason of its own is submitted, before its requests come under suspicion.
constexpr int most_passing_faults = 3;

/// Failed while it was validated, for a reason that is not in the file: nothing ran, and the file stays usable.
bool not_run(const Shard& shard, const Batch& batch, Fault fault) {
  if (batch.status != BatchStatus::failed || batch.output_file_id || batch.error_file_id) return false;
  return fault == Fault::account || fault == Fault::quota || (fault == Fault::passing && shard.attempt < most_passing_faults);
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
  co_await ask_one_by_one(term, live, seen);
  co_await note(before, seen);
  for (const Batch& batch : seen) {
    if (is_terminal(batch.status)) co_await finish(term, before.at(batch.id).shard, batch);
  }
  co_return 0;  // the next look waits for the interval, whatever was found
}

Task<bool> PollStage::walk(Live& live, std::vector<Batch>& seen) {
  const auto take = [&live, &seen](Batch& batch) {
    if (live.erase(batch.id) > 0) seen.push_back(std::move(batch));
    return !live.empty();
  };
  std::function<bool(Batch&)> visit = take;
  const auto walked = co_await walk_batches(provider_, std::move(visit));
  if (!walked.has_error()) co_return true;
  context_.log.warn("poll.failed", {{"provider", provider_name_},
                                    {"kind", to_string(walked.error().kind)},
                                    {"status", walked.error().status},
                                    {"message", walked.error().message}});
  co_return false;
}

Task<void> PollStage::ask_one_by_one(Term term, const Live& live, std::vector<Batch>& seen) {
  for (const auto& [id, batch] : live) {
    if (!context_.session.trusted()) co_return;
    auto answer = co_await provider_.retrieve_batch(id);
    if (answer.has_value()) {
      answer->id = id;
      seen.push_back(std::move(*answer));
    } else if (answer.error().kind == ErrorKind::not_found) {
      co_await vanished(term, batch, answer.error());
    }
  }
}

Task<void> PollStage::note(const Live& before, const std::vector<Batch>& seen) {
  std::vector<LiveBatch> changed;
  for (const Batch& batch : seen) {
    LiveBatch live = before.at(batch.id);
    const bool news = is_news(live.status, batch.status);
    if (!news && !live.denied) continue;
    if (news) {
      live.status = batch.status;
      context_.log.info("batch.status",
                        {{"shard", live.shard.value}, {"batch", batch.id.value}, {"status", to_string(batch.status)}});
    }
    changed.push_back(std::move(live));
  }
  if (changed.empty()) co_return;
  co_await context_.store.note_status(context_.session.term(), changed);
  context_.bells.merge.notify();  // a trial may have been accepted
}

Task<void> PollStage::finish(Term term, ShardId id, const Batch& batch) {
  auto leased = co_await context_.store.lease_one(term, id, ShardState::submitted);
  if (!leased || leased->batch != batch.id) co_return;
  const BusyShards::Mark mark(context_.busy, id);
  Shard shard = std::move(*leased);
  const Fault fault = fault_of(batch);
  if (not_run(shard, batch, fault)) {
    const bool account = fault == Fault::account;
    const BatchError reason = batch.errors.empty() ? BatchError{} : batch.errors.front();
    const ProviderError error{account ? ErrorKind::account : ErrorKind::quota, 0, reason.code, reason.message, {}};
    if (account) co_await pause_lane(shard, error, "account");
    const Milliseconds later = retry_delay(shard, error);
    context_.log.warn("batch.not_run", {{"shard", id.value},
                                        {"batch", batch.id.value},
                                        {"code", reason.code},
                                        {"message", reason.message},
                                        {"retry_in_ms", later.count()}});
    if (fault == Fault::quota) co_await learn_from_refusal(shard, reason.message);
    const ShardEvent event = NotRun{later, error};
    co_await advance(shard, event);
    co_return;
  }
  const ShardEvent event = Ended{batch};
  if (co_await advance(shard, event) != SaveResult::saved) co_return;
  context_.bells.merge.notify();
  context_.bells.submit.notify();  // room was freed
}

Task<void> PollStage::vanished(Term term, const LiveBatch& live, const ProviderError& error) {
  auto leased = co_await context_.store.lease_one(term, live.shard, ShardState::submitted);
  if (!leased) co_return;
  const BusyShards::Mark mark(context_.busy, live.shard);
  Shard shard = std::move(*leased);
  if (shard.denials < most_batch_denials || shard.doubtful) {
    ProviderError gone = error;
    if (shard.denials >= most_batch_denials) gone.code = answers_lost;
    co_await delay(shard, "retrieve_batch", gone);
    co_return;
  }
  const ShardEvent event = Vanished{};
  co_await advance(shard, event);
  context_.bells.merge.notify();
}

}  // namespace batchd
