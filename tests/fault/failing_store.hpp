// The store with failpoints around every verb that commits. Verbs that only read have none: dying there is dying before the next
// commit. A verb that is new to db/store.hpp must be given its place here, or this does not compile.
#pragma once

#include "core/orphan.hpp"
#include "db/store.hpp"
#include "fault/failpoints.hpp"

namespace batchd::fault {

class FailingStore : public Store {
 public:
  FailingStore(Store& store, Failpoints& points) : store_(store), points_(points) {}

  Task<Term> join(const ReplicaInfo& replica) override;
  Task<Standing> heartbeat(Term term) override;
  Task<void> matched(Term term, const Unmatched& provider) override;
  Task<void> leave(Term term) override;
  Task<Burial> bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) override;
  Task<bool> hold_role(Term term, std::string_view role) override;
  Task<bool> publish(Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money) override;

  Task<std::vector<Flow>> backlog() override;
  Task<std::optional<PlannedShard>> plan(Term term, const PlanOrder& order) override;
  Task<int> fail_unroutable(Term term, const std::vector<Offer>& offers, Milliseconds after) override;
  Task<int> expire_overdue(Term term) override;
  Task<void> maintain() override;
  Task<bool> retire(Term term, Milliseconds settled) override;

  Task<std::vector<Shard>> lease(Term term, ShardState state, int most, const std::vector<ShardId>& busy) override;
  Task<std::optional<Shard>> lease_one(Term term, ShardId shard, ShardState state) override;
  Task<SaveResult> save(Term term, const Shard& before, const Shard& after, bool keep_lease) override;
  Task<void> read_bodies(ShardId shard, const ShardContents& contents, BodySink sink) override;
  Task<bool> settle(Term term, ShardId shard, const ShardContents& contents, SettleChunk chunk) override;
  Task<bool> split(Term term, ShardId shard, const ShardContents& contents, std::vector<IdRange> part, bool trial) override;
  Task<std::int64_t> place_wishes(int most) override;
  Task<void> forget_wished(const WishedBatch& batch) override;
  Task<void> file_ceiling_reached(std::string_view provider) override;
  Task<void> note_status(Term term, const std::vector<LiveBatch>& batches) override;
  Task<void> pause_deployment(Term term, std::string_view deployment, std::string_view reason, Milliseconds duration,
                              Milliseconds longest) override;
  Task<std::vector<std::string>> retry_account(std::string_view provider) override;
  Task<void> suspect_orphans(std::string_view provider) override;
  Task<void> orphans_swept(Term term, std::string_view provider, const OrphanTask& task, std::int64_t others) override;

  // Nothing is committed here.
  Task<std::string> instance_id() override { return store_.instance_id(); }
  Task<bool> has_moved() override { return store_.has_moved(); }
  Task<std::vector<DeploymentLoad>> deployments() override { return store_.deployments(); }
  Task<ShardContents> contents(ShardId shard) override { return store_.contents(shard); }
  Task<Suspicion> suspicion(ShardId shard) override { return store_.suspicion(shard); }
  Task<std::vector<WishedBatch>> wished_batches(int most) override { return store_.wished_batches(most); }
  Task<std::vector<LiveBatch>> live_batches(std::string_view provider) override { return store_.live_batches(provider); }
  Task<std::optional<OrphanTask>> orphans_due(std::string_view provider) override { return store_.orphans_due(provider); }
  Task<FileBooks> file_books(std::string_view provider, const std::vector<ShardId>& shards) override {
    return store_.file_books(provider, shards);
  }
  Task<FileSlots> file_slots(std::string_view provider) override { return store_.file_slots(provider); }
  Task<StoreGauges> gauges() override { return store_.gauges(); }
  Task<std::vector<JobProgress>> jobs(int most) override { return store_.jobs(most); }
  Task<void> ping() override { return store_.ping(); }
  Task<bool> wait_for_hint(Milliseconds most) override { return store_.wait_for_hint(most); }
  Task<std::vector<Unmatched>> unmatched() override { return store_.unmatched(); }
  Task<std::vector<BookEntry>> look_up(std::string_view provider, const std::vector<Claim>& claims) override {
    return store_.look_up(provider, claims);
  }
  Task<bool> wants_walks(std::string_view provider) override { return store_.wants_walks(provider); }
  Task<std::vector<Stray>> open_strays(std::string_view provider) override { return store_.open_strays(provider); }
  Task<std::vector<Stray>> strays_of(ShardId shard) override { return store_.strays_of(shard); }

  Task<std::optional<Learnt>> learn(Term term, std::string_view deployment, const RoomLesson& lesson) override {
    return store_.learn(term, deployment, lesson);  // a lesson that is not learnt costs nothing but another one
  }

  // No workload makes duplicates or loses commits: tests/integration/duplicates_test.py and lost_commits_test.py do, without
  // failpoints.
  Task<bool> record_stray(std::string_view provider, StrayKind kind, const Stray& stray) override {
    return store_.record_stray(provider, kind, stray);
  }
  Task<void> update_stray(std::string_view provider, const Stray& stray, bool done) override {
    return store_.update_stray(provider, stray, done);
  }
  Task<std::optional<BoundShard>> bind_found(Term term, const FoundBatch& found) override {
    return store_.bind_found(term, found);
  }
  Task<void> skip_shards(ShardId through) override { return store_.skip_shards(through); }
  Task<void> distrust() override { return store_.distrust(); }

  // The daemon does not call these; whoever makes it do so gives them points.
  Task<void> drop_role(Term, std::string_view) override { no_point("drop_role"); }

 private:
  [[noreturn]] static void no_point(const char* verb);
  template <class T>
  Task<T> around(std::string_view verb, Task<T> work);

  Store& store_;
  Failpoints& points_;
};

}  // namespace batchd::fault
