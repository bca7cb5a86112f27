// A replica's way to a FakeDatabase: the whole port, each verb a message there, one transaction, and a message back. What does
// not arrive there has not happened; what does not come back has. One per replica, for it remembers which of its writes it was
// told were kept.
#pragma once

#include "db/beats.hpp"
#include "runtime/clock.hpp"
#include "simulation/store/fake_database.hpp"
#include "simulation/wire.hpp"

namespace batchd::simulation {

class FakeStore final : public Store {
 public:
  /// All of them outlive the store.
  FakeStore(FakeDatabase& database, Wire& wire, Clock& clock) : database_(database), wire_(wire), clock_(clock) {}

  /// True when it was told that something was kept which the database does not know of.
  bool knows_more(Term term) const;
  /// A producer's NOTIFY has arrived.
  void hint();

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
  /// Carries a verb there, does it, and carries the answer back. `row` is locked while it is late.
  template <class Work>
  Task<std::invoke_result_t<Work&, FakeDatabase&>> call(std::string_view verb, Work work, std::optional<ShardId> row = {});

  /// Keeps in mind that a term has begun, and where.
  Task<Term> begin(Task<std::pair<Term, std::string>> join);
  /// Keeps in mind what a saved announcement has been told is kept.
  Task<SaveResult> remember(Term term, Task<Saved> save);

  FakeDatabase& database_;
  Wire& wire_;
  Clock& clock_;
  std::shared_ptr<Beats> beats_ = std::make_shared<Beats>();  ///< shared with what arrives late
  Wakeup hints_;
  bool hinted_ = false;
};

}  // namespace batchd::simulation
