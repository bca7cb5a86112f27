#include "stages/stage.hpp"

#include "core/output_line.hpp"
#include "runtime/task_group.hpp"
#include "spool/spool.hpp"

#include <algorithm>
#include <memory>

namespace batchd {
namespace {

constexpr Milliseconds shortest_retry{500};
/// After a failure of the database or the disk: work goes on within seconds of their being back.
constexpr Milliseconds longest_retry{3'000};
/// How soon a loop without a term looks whether there is one again.
constexpr Milliseconds look_for_trust{500};
constexpr Milliseconds longest_lease_wait{10'000};
/// Room may be freed at any moment, by other users of the deployment too (PROTOCOL.md 11).
constexpr Milliseconds longest_quota_wait{300'000};
/// How many intervals a loop that is not the scout waits when nobody rings.
constexpr int seldom = 12;

}  // namespace

Task<void> Stage::run(bool scout) {
  Milliseconds retry = shortest_retry;
  for (;;) {
    int moved = 0;
    bool failed = false;
    const bool trusted = context_.session.trusted();
    if (trusted) moved = co_await shield(guarded_pass(failed));
    context_.metrics.loop_beat(name_);
    if (!trusted) {
      co_await context_.clock.sleep_for(look_for_trust);
      continue;
    }
    if (failed) {
      co_await context_.clock.sleep_for(retry);
      retry = std::min(retry * 2, longest_retry);
      continue;
    }
    retry = shortest_retry;
    if (moved > 0 && scout) bell_.notify();
    // Even a busy loop waits for nothing now and then, so that a stop is heard.
    const Milliseconds wait = moved > 0 ? Milliseconds{0} : scout ? until_due(pause()) : pause() * seldom;
    co_await context_.clock.sleep_for(wait, bell_);
  }
}

void Stage::note_due(const Shard& shard) {
  if (leases_ != shard.state || shard.due_in <= Milliseconds{0} || shard.due_in >= interval_) return;
  due_.insert(context_.clock.now() + shard.due_in);
  bell_.notify();  // the scout may be asleep for longer
}

Milliseconds Stage::until_due(Milliseconds at_most) {
  constexpr Milliseconds clocks_differ{5};  // the database's own decides what is due
  const auto now = context_.clock.now();
  due_.erase(due_.begin(), due_.upper_bound(now));
  if (due_.empty()) return at_most;
  return std::min(at_most, std::chrono::duration_cast<Milliseconds>(*due_.begin() - now) + clocks_differ);
}

Task<int> Stage::guarded_pass(bool& failed) {
  std::string reason;
  try {
    co_return co_await run_once();
  } catch (const StoreError& error) {
    reason = error.what();
  } catch (const SpoolError& error) {
    reason = error.what();
  }
  context_.log.warn(name_ + ".failed", {{"error", reason}});
  failed = true;
  co_return 0;
}

Task<int> Stage::lease_and_step(ShardState state) {
  leases_ = state;
  BusyShards& busy = context_.busy;
  while (busy.leasing) co_await context_.clock.sleep_for(longest_lease_wait, busy.lease_ended);
  busy.leasing = true;
  const auto ended = [](BusyShards* b) {
    b->leasing = false;
    b->lease_ended.notify();
  };
  std::unique_ptr<BusyShards, decltype(ended)> leasing(&busy, ended);
  std::vector<Shard> shards = co_await context_.store.lease(context_.session.term(), state, 1, busy.all());
  if (shards.empty()) co_return 0;
  const BusyShards::Mark mark(busy, shards.front().id);
  leasing.reset();
  Shard shard = std::move(shards.front());
  if (const Milliseconds later = withheld_for(shard); later > Milliseconds{0}) {
    co_await postpone(shard, later);
    co_return 1;
  }
  co_await step(std::move(shard));
  co_return 1;
}

Milliseconds Stage::withheld_for(const Shard& shard) const {
  const Provider* const provider = context_.provider_of(shard);
  if (!provider || shard.unwanted) return Milliseconds{0};
  // An announced submission without an answer waits for a look at the list.
  return provider->withheld_for(shard.intent ? ShardState::submitted : shard.state);
}

Task<void> Stage::step(Shard) {
  co_return;
}

Task<SaveResult> Stage::advance(Shard& shard, const ShardEvent& event, bool keep_lease) {
  Shard next = batchd::apply(shard, event);
  const SaveResult result = co_await context_.store.save(shard.lease, shard, next, keep_lease);
  if (result == SaveResult::lost) {
    context_.metrics.lease_lost();
    context_.log.warn("shard.lease_lost", {{"shard", shard.id.value}, {"state", to_string(shard.state)}});
  } else if (result == SaveResult::saved) {
    if (next.state != shard.state) {
      context_.log.info("shard." + std::string(to_string(next.state)), {{"shard", next.id.value},
                                                                        {"attempt", next.attempt},
                                                                        {"deployment", next.deployment},
                                                                        {"requests", next.requests},
                                                                        {"batch", next.batch ? next.batch->value : ""},
                                                                        {"reason", to_string(next.finish_reason)}});
    }
    note_due(next);
    shard = std::move(next);
  }
  co_return result;
}

Milliseconds Stage::retry_delay(const Shard& shard, const ProviderError& error) const {
  const Milliseconds later =
      backoff(context_.backoff, shard.failures + 1, static_cast<std::uint64_t>(shard.id.value), error.retry_after);
  return error.kind == ErrorKind::quota ? std::min(later, longest_quota_wait) : later;
}

Task<void> Stage::delay(Shard& shard, std::string_view step, const ProviderError& error) {
  if (error.code == calls_withheld) {
    co_await postpone(shard, error.retry_after.value_or(shortest_retry));
    co_return;
  }
  const Milliseconds later = retry_delay(shard, error);
  context_.log.warn(std::string(step) + ".failed", {{"shard", shard.id.value},
                                                    {"provider", shard.provider},
                                                    {"kind", to_string(error.kind)},
                                                    {"status", error.status},
                                                    {"code", error.code},
                                                    {"message", error.message},
                                                    {"retry_in_ms", later.count()}});
  if (error.kind == ErrorKind::account) co_await pause_lane(shard, error, "account");
  const ShardEvent event =
      Delayed{later, make_error(error.code.empty() ? to_string(error.kind) : error.code, error.message), error.kind};
  co_await advance(shard, event);
}

Task<void> Stage::postpone(Shard& shard, Milliseconds later) {
  Shard next = shard;
  next.due_in = later;
  co_await context_.store.save(shard.lease, shard, next);
  note_due(next);
}

Task<void> Stage::learn(Term term, const std::string& deployment, const RoomLesson& lesson) {
  const auto learnt = co_await context_.store.learn(term, deployment, lesson);
  if (!learnt) co_return;
  const Room& before = learnt->before;
  const Room& after = learnt->after;
  if (after.release_lag > Milliseconds{0}) context_.room_comes_late = true;
  if (after.believed == before.believed && after.release_lag == before.release_lag && after.told == before.told) co_return;
  context_.log.info("room.believed", {{"deployment", deployment},
                                      {"tokens", after.believed},
                                      {"before", before.believed},
                                      {"limit", after.limit},
                                      {"told", after.told.value_or(0)},
                                      {"release_lag_ms", after.release_lag.count()},
                                      {"refusals", after.refusals}});
  if (after.believed > before.believed) context_.bells.submit.notify();
}

Task<void> Stage::learn_from_refusal(const Shard& shard, std::string_view message) {
  context_.metrics.quota_refusal(shard.deployment);
  const RoomLesson lesson = RoomRefused{shard.reserved, limit_in_text(message)};
  co_await learn(shard.lease, shard.deployment, lesson);
}

Task<void> Stage::pause_lane(const Shard& shard, const ProviderError& error, std::string_view reason) {
  const Milliseconds probe_in = retry_delay(shard, error);
  co_await context_.store.pause_deployment(shard.lease, shard.deployment, reason, probe_in, context_.backoff.max);
  context_.log.error("lane.paused", {{"deployment", shard.deployment},
                                     {"reason", reason},
                                     {"status", error.status},
                                     {"code", error.code},
                                     {"message", error.message},
                                     {"probe_in_ms", probe_in.count()}});
}

}  // namespace batchd
