#include "fault/failing_store.hpp"

#include <stdexcept>
#include <type_traits>

namespace batchd::fault {
namespace {

[[noreturn]] void fail(std::string_view verb, std::string_view when) {
  throw StoreError("failpoint " + std::string(verb) + std::string(when));
}

/// What a save records, by what it changes; the events of core/shard.hpp.
std::string_view recorded(const Shard& before, const Shard& after) {
  if (after.state != before.state) {
    switch (after.state) {
      case ShardState::planned:
        return before.intent ? "store.save.fenced" : "store.save.file_lost";
      case ShardState::uploaded:
        return before.state == ShardState::planned ? "store.save.uploaded" : "store.save.not_run";
      case ShardState::submitted:
        return "store.save.created";
      case ShardState::finished:
        if (after.finish_reason == FinishReason::given_up) return "store.save.given_up";
        if (before.state != ShardState::submitted) return "store.save.refused";
        return is_terminal(after.batch_status) ? "store.save.ended" : "store.save.vanished";
      case ShardState::merged:
        return "store.save.merged";
      case ShardState::closed:
        return "store.save.closed";
    }
  }
  if (after.intent != before.intent) return after.intent ? "store.save.intent" : "store.save.not_created";
  if (after.looks != before.looks) return "store.save.looked";
  return after.failures != before.failures ? "store.save.delayed" : "store.save.postponed";
}

}  // namespace

template <class T>
Task<T> FailingStore::around(std::string_view verb, Task<T> work) {
  if (points_.pass(verb, ".before")) fail(verb, ".before");
  if constexpr (std::is_void_v<T>) {
    co_await std::move(work);
    if (points_.pass(verb, ".after")) fail(verb, ".after");
  } else {
    T result = co_await std::move(work);
    if (points_.pass(verb, ".after")) fail(verb, ".after");
    co_return result;
  }
}

void FailingStore::no_point(const char* verb) {
  throw std::logic_error(std::string("store.") + verb + " has no failpoint (tests/fault/failing_store.hpp)");
}

Task<Term> FailingStore::join(const ReplicaInfo& replica) {
  return around("store.join", store_.join(replica));
}
Task<Standing> FailingStore::heartbeat(Term term) {
  return around("store.heartbeat", store_.heartbeat(term));
}
Task<void> FailingStore::matched(Term term, const Unmatched& provider) {
  return around("store.matched", store_.matched(term, provider));
}
Task<void> FailingStore::leave(Term term) {
  return around("store.leave", store_.leave(term));
}
Task<Burial> FailingStore::bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) {
  return around("store.bury_dead", store_.bury_dead(ttl, last));
}
Task<bool> FailingStore::hold_role(Term term, std::string_view role) {
  return around("store.hold_role", store_.hold_role(term, role));
}
Task<bool> FailingStore::publish(Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money) {
  return around("store.publish", store_.publish(term, deployments, money));
}

Task<std::vector<Flow>> FailingStore::backlog() {
  return around("store.backlog", store_.backlog());
}
Task<std::optional<PlannedShard>> FailingStore::plan(Term term, const PlanOrder& order) {
  return around("store.plan", store_.plan(term, order));
}
Task<int> FailingStore::fail_unroutable(Term term, const std::vector<Offer>& offers, Milliseconds after) {
  return around("store.fail_unroutable", store_.fail_unroutable(term, offers, after));
}
Task<int> FailingStore::expire_overdue(Term term) {
  return around("store.expire_overdue", store_.expire_overdue(term));
}
Task<void> FailingStore::maintain() {
  return around("store.maintain", store_.maintain());
}
Task<bool> FailingStore::retire(Term term, Milliseconds settled) {
  return around("store.retire", store_.retire(term, settled));
}

Task<std::vector<Shard>> FailingStore::lease(Term term, ShardState state, int most, const std::vector<ShardId>& busy) {
  return around("store.lease", store_.lease(term, state, most, busy));
}
Task<std::optional<Shard>> FailingStore::lease_one(Term term, ShardId shard, ShardState state) {
  return around("store.lease_one", store_.lease_one(term, shard, state));
}
Task<SaveResult> FailingStore::save(Term term, const Shard& before, const Shard& after, bool keep_lease) {
  return around(recorded(before, after), store_.save(term, before, after, keep_lease));
}

Task<void> FailingStore::read_bodies(ShardId shard, const ShardContents& contents, BodySink sink) {
  const auto through = [this, inner = std::move(sink)](RequestId request, std::string_view body) {
    if (points_.pass("store.read_bodies", ".middle")) fail("store.read_bodies", ".middle");
    return inner(request, body);
  };
  return store_.read_bodies(shard, contents, through);
}

Task<bool> FailingStore::settle(Term term, ShardId shard, const ShardContents& contents, SettleChunk chunk) {
  return around("store.settle", store_.settle(term, shard, contents, std::move(chunk)));
}
Task<bool> FailingStore::split(Term term, ShardId shard, const ShardContents& contents, std::vector<IdRange> part, bool trial) {
  return around("store.split", store_.split(term, shard, contents, std::move(part), trial));
}
Task<std::int64_t> FailingStore::place_wishes(int most) {
  return around("store.place_wishes", store_.place_wishes(most));
}
Task<void> FailingStore::forget_wished(const WishedBatch& batch) {
  return around("store.forget_wished", store_.forget_wished(batch));
}
Task<void> FailingStore::file_ceiling_reached(std::string_view provider) {
  return around("store.file_ceiling_reached", store_.file_ceiling_reached(provider));
}
Task<void> FailingStore::note_status(Term term, const std::vector<LiveBatch>& batches) {
  return around("store.note_status", store_.note_status(term, batches));
}
Task<void> FailingStore::pause_deployment(Term term, std::string_view deployment, std::string_view reason, Milliseconds duration,
                                          Milliseconds longest) {
  return around("store.pause_deployment", store_.pause_deployment(term, deployment, reason, duration, longest));
}
Task<std::vector<std::string>> FailingStore::retry_account(std::string_view provider) {
  return around("store.retry_account", store_.retry_account(provider));
}

Task<void> FailingStore::suspect_orphans(std::string_view provider) {
  return around("store.suspect_orphans", store_.suspect_orphans(provider));
}
Task<void> FailingStore::orphans_swept(Term term, std::string_view provider, const OrphanTask& task, std::int64_t others) {
  return around("store.orphans_swept", store_.orphans_swept(term, provider, task, others));
}

}  // namespace batchd::fault
