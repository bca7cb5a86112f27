#include "simulation/store/fake_store.hpp"

#include <type_traits>
#include <utility>

namespace batchd::simulation {
namespace {

[[noreturn]] void fail(std::string_view verb, std::string_view how) {
  throw StoreError("database: " + std::string(verb) + ": " + std::string(how));
}

constexpr std::string_view in_doubt = "no answer, and whether it was committed is not known";

/// A verb that only looks: arriving late, it changes nothing.
template <class Work>
constexpr bool only_looks = std::is_invocable_v<Work&, const FakeDatabase&>;

}  // namespace

// Verbs are plain functions that make a closure, which this coroutine owns: so their arguments live as long as they do with
// PgStore. What a closure of a verb that writes holds, it holds by value: it may run when the replica that called is no more.
template <class Work>
Task<std::invoke_result_t<Work&, FakeDatabase&>> FakeStore::call(std::string_view verb, Work work, std::optional<ShardId> row) {
  const Passage there = co_await wire_.there(verb);
  if (there == Passage::refused) fail(verb, "no connection");
  if (there == Passage::lost) {
    if constexpr (!only_looks<Work>) {
      // A transaction does not outlive the server that it was begun on.
      const auto locked = row ? database_.server().lock(*row) : nullptr;
      wire_.arrives_late(verb, [&db = database_, restores = database_.restores(), work, locked]() mutable {
        if (db.restores() == restores) static_cast<void>(work(db));
      });
    }
    fail(verb, "no answer");
  }
  if constexpr (std::is_void_v<std::invoke_result_t<Work&, FakeDatabase&>>) {
    work(database_);
    const Passage back = co_await wire_.back(verb);
    if (back != Passage::through) fail(verb, in_doubt);
  } else {
    auto result = work(database_);
    const Passage back = co_await wire_.back(verb);
    if (back != Passage::through) fail(verb, in_doubt);
    co_return result;
  }
}

// Replicas, roles, configuration ------------------------------------------------------------------------------------------

Task<Term> FakeStore::join(const ReplicaInfo& replica) {
  return begin(call("join", [replica](FakeDatabase& db) { return std::pair(db.join(replica), db.instance_id()); }));
}

Task<Term> FakeStore::begin(Task<std::pair<Term, std::string>> join) {
  const std::pair<Term, std::string> joined = co_await std::move(join);
  beats_->begin(joined.first, joined.second);
  co_return joined.first;
}

Task<Standing> FakeStore::heartbeat(Term term) {
  auto work = [term, beats = beats_](FakeDatabase& db) {
    return db.heartbeat(term, beats->confirmed(term), beats->instance(term));
  };
  const Beat beat = co_await call("heartbeat", work);
  if (beat.standing == Standing::alive) {
    beats_->confirm(term, beat.beats);
  } else {
    beats_->forget(term);
  }
  co_return beat.standing;
}

Task<void> FakeStore::distrust() {
  return call("distrust", [](FakeDatabase& db) { db.distrust(); });
}

Task<std::vector<Unmatched>> FakeStore::unmatched() {
  return call("unmatched", [](const FakeDatabase& db) { return db.unmatched(); });
}

Task<void> FakeStore::matched(Term term, const Unmatched& provider) {
  return call("matched", [term, provider](FakeDatabase& db) { db.matched(term, provider); });
}

Task<void> FakeStore::leave(Term term) {
  auto work = [term](FakeDatabase& db) { db.leave(term); };
  co_await call("leave", work);
  beats_->forget(term);
}

Task<Burial> FakeStore::bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) {
  std::optional<Milliseconds> since;
  if (last) since = std::chrono::duration_cast<Milliseconds>(clock_.now() - *last);
  return call("bury_dead", [ttl, since](FakeDatabase& db) { return db.bury_dead(ttl, since); });
}

Task<bool> FakeStore::hold_role(Term term, std::string_view role) {
  return call("hold_role", [term, name = std::string(role)](FakeDatabase& db) { return db.hold_role(term, name); });
}

Task<void> FakeStore::drop_role(Term term, std::string_view role) {
  return call("drop_role", [term, name = std::string(role)](FakeDatabase& db) { db.drop_role(term, name); });
}

Task<std::string> FakeStore::instance_id() {
  return call("instance_id", [](const FakeDatabase& db) { return db.instance_id(); });
}

Task<bool> FakeStore::has_moved() {
  return call("has_moved", [](const FakeDatabase& db) { return db.has_moved(); });
}

Task<bool> FakeStore::publish(Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money) {
  return call("publish", [term, deployments, money](FakeDatabase& db) { return db.publish(term, deployments, money); });
}

Task<void> FakeStore::pause_deployment(Term term, std::string_view deployment, std::string_view reason, Milliseconds duration,
                                       Milliseconds longest) {
  return call("pause_deployment", [term, name = std::string(deployment), why = std::string(reason), duration,
                                   longest](FakeDatabase& db) { db.pause_deployment(term, name, why, duration, longest); });
}

Task<std::optional<Learnt>> FakeStore::learn(Term term, std::string_view deployment, const RoomLesson& lesson) {
  return call("learn", [term, name = std::string(deployment), lesson](FakeDatabase& db) { return db.learn(term, name, lesson); });
}

Task<std::vector<std::string>> FakeStore::retry_account(std::string_view provider) {
  return call("retry_account", [name = std::string(provider)](FakeDatabase& db) { return db.retry_account(name); });
}

// Planning ----------------------------------------------------------------------------------------------------------------

Task<std::vector<Flow>> FakeStore::backlog() {
  return call("backlog", [](FakeDatabase& db) { return db.backlog(); });
}

Task<std::vector<DeploymentLoad>> FakeStore::deployments() {
  return call("deployments", [](const FakeDatabase& db) { return db.deployments(); });
}

Task<std::optional<PlannedShard>> FakeStore::plan(Term term, const PlanOrder& order) {
  return call("plan", [term, order, beats = beats_](FakeDatabase& db) { return db.plan(term, order, beats->confirmed(term)); });
}

Task<int> FakeStore::fail_unroutable(Term term, const std::vector<Offer>& offers, Milliseconds after) {
  return call("fail_unroutable", [term, offers, after](FakeDatabase& db) { return db.fail_unroutable(term, offers, after); });
}

Task<int> FakeStore::expire_overdue(Term term) {
  return call("expire_overdue", [term](FakeDatabase& db) { return db.expire_overdue(term); });
}

Task<void> FakeStore::maintain() {
  return call("maintain", [](FakeDatabase& db) { db.maintain(); });
}

Task<bool> FakeStore::retire(Term term, Milliseconds settled) {
  return call("retire", [term, settled](FakeDatabase& db) { return db.retire(term, settled); });
}

// Shards ------------------------------------------------------------------------------------------------------------------

Task<std::vector<Shard>> FakeStore::lease(Term term, ShardState state, int most, const std::vector<ShardId>& busy) {
  return call("lease", [term, state, most, busy](FakeDatabase& db) { return db.lease(term, state, most, busy); });
}

Task<std::optional<Shard>> FakeStore::lease_one(Term term, ShardId shard, ShardState state) {
  return call("lease_one", [term, shard, state](FakeDatabase& db) { return db.lease_one(term, shard, state); });
}

Task<SaveResult> FakeStore::save(Term term, const Shard& before, const Shard& after, bool keep_lease) {
  auto work = [term, before, after, keep_lease, beats = beats_](FakeDatabase& db) {
    return db.save(term, before, after, keep_lease, beats->confirmed(term));
  };
  return remember(term, call("save", work, before.id));
}

Task<SaveResult> FakeStore::remember(Term term, Task<Saved> save) {
  const Saved saved = co_await std::move(save);
  if (saved.beats) beats_->confirm(term, *saved.beats);
  co_return saved.result;
}

Task<ShardContents> FakeStore::contents(ShardId shard) {
  return call("contents", [shard](const FakeDatabase& db) { return db.contents(shard); });
}

Task<void> FakeStore::read_bodies(ShardId shard, const ShardContents& contents, BodySink sink) {
  // The caller awaits this, so that its contents outlive the work.
  return call("read_bodies",
              [shard, &contents, sink = std::move(sink)](const FakeDatabase& db) { db.read_bodies(shard, contents, sink); });
}

Task<bool> FakeStore::settle(Term term, ShardId shard, const ShardContents& contents, SettleChunk chunk) {
  return call("settle", [term, shard, contents, chunk = std::move(chunk)](FakeDatabase& db) {
    return db.settle(term, shard, contents, chunk);
  });
}

Task<bool> FakeStore::split(Term term, ShardId shard, const ShardContents& contents, std::vector<IdRange> part, bool trial) {
  return call("split", [term, shard, contents, part = std::move(part), trial](FakeDatabase& db) {
    return db.split(term, shard, contents, part, trial);
  });
}

Task<Suspicion> FakeStore::suspicion(ShardId shard) {
  return call("suspicion", [shard](const FakeDatabase& db) { return db.suspicion(shard); });
}

Task<std::int64_t> FakeStore::place_wishes(int most) {
  return call("place_wishes", [most](FakeDatabase& db) { return db.place_wishes(most); });
}

Task<std::vector<WishedBatch>> FakeStore::wished_batches(int most) {
  return call("wished_batches", [most](const FakeDatabase& db) { return db.wished_batches(most); });
}

Task<void> FakeStore::forget_wished(const WishedBatch& batch) {
  return call("forget_wished", [batch](FakeDatabase& db) { db.forget_wished(batch); });
}

Task<std::vector<LiveBatch>> FakeStore::live_batches(std::string_view provider) {
  return call("live_batches", [name = std::string(provider)](const FakeDatabase& db) { return db.live_batches(name); });
}

Task<void> FakeStore::file_ceiling_reached(std::string_view provider) {
  return call("file_ceiling_reached", [name = std::string(provider)](FakeDatabase& db) { db.file_ceiling_reached(name); });
}

Task<void> FakeStore::note_status(Term term, const std::vector<LiveBatch>& batches) {
  return call("note_status", [term, batches](FakeDatabase& db) { db.note_status(term, batches); });
}

// Books -------------------------------------------------------------------------------------------------------------------

Task<std::vector<BookEntry>> FakeStore::look_up(std::string_view provider, const std::vector<Claim>& claims) {
  return call("look_up", [name = std::string(provider), claims](const FakeDatabase& db) { return db.look_up(name, claims); });
}

Task<bool> FakeStore::wants_walks(std::string_view provider) {
  return call("wants_walks", [name = std::string(provider)](const FakeDatabase& db) { return db.wants_walks(name); });
}

Task<bool> FakeStore::record_stray(std::string_view provider, StrayKind kind, const Stray& stray) {
  return call("record_stray",
              [name = std::string(provider), kind, stray](FakeDatabase& db) { return db.record_stray(name, kind, stray); });
}

Task<std::vector<Stray>> FakeStore::open_strays(std::string_view provider) {
  return call("open_strays", [name = std::string(provider)](const FakeDatabase& db) { return db.open_strays(name); });
}

Task<std::vector<Stray>> FakeStore::strays_of(ShardId shard) {
  return call("strays_of", [shard](const FakeDatabase& db) { return db.strays_of(shard); });
}

Task<void> FakeStore::update_stray(std::string_view provider, const Stray& stray, bool done) {
  return call("update_stray",
              [name = std::string(provider), stray, done](FakeDatabase& db) { db.update_stray(name, stray, done); });
}

Task<std::optional<BoundShard>> FakeStore::bind_found(Term term, const FoundBatch& found) {
  return call("bind_found", [term, found](FakeDatabase& db) { return db.bind_found(term, found); });
}

Task<void> FakeStore::skip_shards(ShardId through) {
  return call("skip_shards", [through](FakeDatabase& db) { db.skip_shards(through); });
}

// Files at a provider -----------------------------------------------------------------------------------------------------

Task<void> FakeStore::suspect_orphans(std::string_view provider) {
  return call("suspect_orphans", [name = std::string(provider)](FakeDatabase& db) { db.suspect_orphans(name); });
}

Task<std::optional<OrphanTask>> FakeStore::orphans_due(std::string_view provider) {
  return call("orphans_due", [name = std::string(provider)](const FakeDatabase& db) { return db.orphans_due(name); });
}

Task<FileBooks> FakeStore::file_books(std::string_view provider, const std::vector<ShardId>& shards) {
  return call("file_books",
              [name = std::string(provider), shards](const FakeDatabase& db) { return db.file_books(name, shards); });
}

Task<FileSlots> FakeStore::file_slots(std::string_view provider) {
  return call("file_slots", [name = std::string(provider)](const FakeDatabase& db) { return db.file_slots(name); });
}

Task<void> FakeStore::orphans_swept(Term term, std::string_view provider, const OrphanTask& task, std::int64_t others) {
  return call("orphans_swept", [term, name = std::string(provider), task, others](FakeDatabase& db) {
    db.orphans_swept(term, name, task, others);
  });
}

// Looking -----------------------------------------------------------------------------------------------------------------

Task<StoreGauges> FakeStore::gauges() {
  return call("gauges", [](const FakeDatabase& db) { return db.gauges(); });
}

Task<std::vector<JobProgress>> FakeStore::jobs(int most) {
  return call("jobs", [most](const FakeDatabase& db) { return db.jobs(most); });
}

Task<void> FakeStore::ping() {
  return call("ping", [](const FakeDatabase&) {});
}

bool FakeStore::knows_more(Term term) const {
  return term.value != 0 && database_.beats_of(term).value_or(-1) < beats_->confirmed(term);
}

void FakeStore::hint() {
  hinted_ = true;
  hints_.notify();
}

Task<bool> FakeStore::wait_for_hint(Milliseconds most) {
  if (!hinted_) co_await clock_.sleep_for(most, hints_);
  hints_.take();
  co_return std::exchange(hinted_, false);
}

}  // namespace batchd::simulation
