// The Store on PostgreSQL. The application owns one; its verbs run on the threads of a BlockingPool, each in one
// transaction on one connection of the Database. It decides nothing: what a shard becomes comes from the caller, whether
// the caller may say so is decided by the rows (the fencing term, the expected state).
#pragma once

#include "db/beats.hpp"
#include "db/database.hpp"
#include "db/store.hpp"
#include "metrics.hpp"
#include "runtime/blocking_pool.hpp"

#include <memory>

namespace batchd {

class HintListener;

class PgStore final : public Store {
 public:
  /// What a heartbeat goes through: connections and threads that nothing else can keep busy.
  struct HeartbeatWay {
    Database& database;
    BlockingPool& pool;
  };

  /// `database`, `pool` and `metrics` outlive the store.
  PgStore(Database& database, BlockingPool& pool, Metrics& metrics) : PgStore(database, pool, metrics, {database, pool}) {}
  PgStore(Database& database, BlockingPool& pool, Metrics& metrics, HeartbeatWay heartbeat);
  ~PgStore() override;

  Task<Term> join(const ReplicaInfo& replica) override;
  Task<Standing> heartbeat(Term term) override;
  Task<void> distrust() override;
  Task<std::vector<Unmatched>> unmatched() override;
  Task<void> matched(Term term, const Unmatched& provider) override;
  Task<void> leave(Term term) override;
  Task<Burial> bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) override;
  Task<bool> hold_role(Term term, std::string_view role) override;
  Task<void> drop_role(Term term, std::string_view role) override;
  Task<std::string> instance_id() override;
  Task<bool> has_moved() override;
  Task<bool> publish(Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money = {}) override;

  Task<std::vector<Flow>> backlog() override;
  Task<std::vector<DeploymentLoad>> deployments() override;
  Task<std::optional<PlannedShard>> plan(Term term, const PlanOrder& order) override;
  Task<int> fail_unroutable(Term term, const std::vector<Offer>& offers, Milliseconds after) override;
  Task<int> expire_overdue(Term term) override;
  Task<void> maintain() override;
  Task<bool> retire(Term term, Milliseconds settled) override;

  Task<std::vector<Shard>> lease(Term term, ShardState state, int most, const std::vector<ShardId>& busy) override;
  Task<std::optional<Shard>> lease_one(Term term, ShardId shard, ShardState state) override;
  Task<SaveResult> save(Term term, const Shard& before, const Shard& after, bool keep_lease) override;
  Task<ShardContents> contents(ShardId shard) override;
  Task<void> read_bodies(ShardId shard, const ShardContents& contents, BodySink sink) override;
  Task<bool> settle(Term term, ShardId shard, const ShardContents& contents, SettleChunk chunk) override;
  Task<bool> split(Term term, ShardId shard, const ShardContents& contents, std::vector<IdRange> part, bool trial) override;
  Task<Suspicion> suspicion(ShardId shard) override;
  Task<std::int64_t> place_wishes(int most) override;
  Task<std::vector<WishedBatch>> wished_batches(int most) override;
  Task<void> forget_wished(const WishedBatch& batch) override;
  Task<std::vector<LiveBatch>> live_batches(std::string_view provider) override;
  Task<void> file_ceiling_reached(std::string_view provider) override;
  Task<void> note_status(Term term, const std::vector<LiveBatch>& batches) override;
  Task<std::vector<BookEntry>> look_up(std::string_view provider, const std::vector<Claim>& claims) override;
  Task<bool> wants_walks(std::string_view provider) override;
  Task<bool> record_stray(std::string_view provider, StrayKind kind, const Stray& stray) override;
  Task<std::vector<Stray>> open_strays(std::string_view provider) override;
  Task<std::vector<Stray>> strays_of(ShardId shard) override;
  Task<void> update_stray(std::string_view provider, const Stray& stray, bool done) override;
  Task<std::optional<BoundShard>> bind_found(Term term, const FoundBatch& found) override;
  Task<void> skip_shards(ShardId through) override;
  Task<void> pause_deployment(Term term, std::string_view deployment, std::string_view reason, Milliseconds duration,
                              Milliseconds longest) override;
  Task<std::optional<Learnt>> learn(Term term, std::string_view deployment, const RoomLesson& lesson) override;
  Task<std::vector<std::string>> retry_account(std::string_view provider) override;

  Task<void> suspect_orphans(std::string_view provider) override;
  Task<std::optional<OrphanTask>> orphans_due(std::string_view provider) override;
  Task<FileBooks> file_books(std::string_view provider, const std::vector<ShardId>& shards) override;
  Task<FileSlots> file_slots(std::string_view provider) override;
  Task<void> orphans_swept(Term term, std::string_view provider, const OrphanTask& task, std::int64_t others) override;

  Task<StoreGauges> gauges() override;
  Task<std::vector<JobProgress>> jobs(int most) override;
  Task<void> ping() override;
  Task<bool> wait_for_hint(Milliseconds most) override;

 private:
  /// Runs a verb on a pool thread; counts a database that failed it.
  template <class Work>
  Task<std::invoke_result_t<Work>> run(Work work) {
    return run_on(pool_, std::move(work));
  }
  template <class Work>
  Task<std::invoke_result_t<Work>> run_on(BlockingPool& pool, Work work);

  Database& database_;
  BlockingPool& pool_;
  Metrics& metrics_;
  HeartbeatWay heartbeat_;
  std::unique_ptr<HintListener> hints_;
  Beats beats_;
};

}  // namespace batchd
