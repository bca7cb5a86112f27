// The database of a simulated installation: what PostgreSQL with migrations/ and db/pg_store*.cpp is, as a plain value in memory.
// A copy is a backup; assigning one back is a restore that has lost the commits in between. Every member function is one
// transaction: it happens whole, at once, or throws and leaves nothing. It knows nothing of schedules, and guards what the schema
// and the statements guard, no more.
#pragma once

#include "core/orphan.hpp"
#include "simulation/store/fake_money.hpp"
#include "simulation/store/fake_tables.hpp"

#include <memory>
#include <set>
#include <string_view>

namespace batchd::simulation {

/// What a producer INSERTs.
struct NewRequest {
  std::string model;
  std::string body = "{}";
  std::string endpoint = "/v1/chat/completions";
  std::string job = "default";
  std::string key;  ///< "" for NULL
  int priority = 0;
  std::optional<Milliseconds> deadline_in;  ///< from now
};

struct Beat {
  Standing standing = Standing::buried;
  std::int64_t beats = 0;  ///< that the database remembers, this one included
};

struct Saved {
  SaveResult result = SaveResult::lost;
  std::optional<std::int64_t> beats;  ///< when the write announced a POST: what has to be remembered once it is known to be kept
};

/// A request as batchd.request_status, batchd.result and batchd.result_history show it.
struct RequestView {
  enum class State { queued, in_flight, settled };
  State state = State::queued;
  std::optional<ShardId> shard;  ///< that it is in, or was settled in
  int attempts = 0;
  std::string job, key;
  const AnswerRow* result = nullptr;  ///< of the database; until its next change
  const std::vector<AnswerRow>* history = nullptr;
};

struct ShardView {
  Shard shard;  ///< `lease` is its owner, 0 for none; alive or not
  std::size_t members = 0;
  std::size_t decided = 0;
};

struct LedgerView {
  Tokens limit = 0;
  Tokens reserved = 0;
  bool configured = false;
};

struct StrayView {
  std::string provider;
  StrayKind kind = StrayKind::duplicate;
  Stray stray;
  bool done = false;
};

class FakeDatabase {
 public:
  /// A freshly migrated database. `now` is the server's clock before it is set by step_clock(); `dice` outlives the database and
  /// all its copies.
  FakeDatabase(std::function<Milliseconds()> now, Dice& dice);
  /// A backup.
  FakeDatabase(const FakeDatabase&) = default;
  /// A restore of a backup of this very database.
  FakeDatabase& operator=(const FakeDatabase& backup);

  // Producers, and people -----------------------------------------------------------------------------------------------
  /// One INSERT; nothing when the key is known.
  std::optional<RequestId> enqueue(const NewRequest& request);
  /// One INSERT of many rows; returns what RETURNING would: those that were not known.
  std::vector<RequestId> enqueue(const std::vector<NewRequest>& requests);
  bool cancel_request(RequestId id);
  std::int64_t cancel_job(std::string_view job);
  bool retry_request(RequestId id);
  std::int64_t retry_job(std::string_view job);
  std::int64_t set_priority(std::string_view job, int priority);
  /// False when that scope was paused already. Throws ConstraintViolated for anything but all, job:NAME, deployment:NAME.
  bool pause(std::string_view scope);
  bool resume(std::string_view scope);
  /// `batchd adopt`: true when it had moved.
  bool adopt();
  /// `batchd adopt --resubmit-lost`: how many shards and batches that concerns.
  std::pair<std::int64_t, std::int64_t> accept_loss();
  /// `batchd adopt --as-new-instance`: the new name; throws StoreError while a replica was heard of less than `silence` ago.
  std::string adopt_as_new_instance(Milliseconds silence);

  // The server under it ---------------------------------------------------------------------------------------------------
  /// A standby was promoted, or a backup recovered to a point in time: the server's history is another one from now on.
  void begin_timeline() { server_->begin_timeline(); }
  /// A dump was restored elsewhere, or the database was cloned: it has visibly moved.
  void move() { server_->move(); }
  void step_clock(Milliseconds by) { server_->step_clock(by); }
  Instant clock() const { return server_->clock(); }
  /// Constraints that somebody ran into, in this database or any copy.
  const std::vector<std::string>& violations() const { return server_->violations(); }
  /// The server that this database and its backups have in common.
  FakeServer& server() { return *server_; }
  /// How often a backup was restored into this database.
  int restores() const { return server_->restores(); }
  /// How often NOTIFY batchd_request was sent.
  std::int64_t notifications() const { return notifications_; }

  // The verbs of Store ----------------------------------------------------------------------------------------------------
  // `confirmed` are the beats of the term that its store knows to be kept, `instance` is where that knows it to have begun
  // (db/beats.hpp).
  Term join(const ReplicaInfo& replica);
  Beat heartbeat(Term term, std::int64_t confirmed = 0, std::string_view instance = {});
  void distrust();
  std::vector<Unmatched> unmatched() const;
  void matched(Term term, const Unmatched& provider);
  void leave(Term term);
  /// `since`: how long ago the caller did so last, by its own clock.
  Burial bury_dead(Milliseconds ttl, std::optional<Milliseconds> since = {});
  bool hold_role(Term term, std::string_view role);
  void drop_role(Term term, std::string_view role);
  std::string instance_id() const { return instance_.id; }
  bool has_moved() const { return instance_.identity != server_->identity(); }
  bool publish(Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money = {});

  std::vector<Flow> backlog();
  std::vector<DeploymentLoad> deployments() const;
  std::optional<PlannedShard> plan(Term term, const PlanOrder& order, std::int64_t confirmed = 0);
  int fail_unroutable(Term term, const std::vector<Offer>& offers, Milliseconds after);
  int expire_overdue(Term term);
  void maintain();
  bool retire(Term term, Milliseconds settled);

  std::vector<Shard> lease(Term term, ShardState state, int most, const std::vector<ShardId>& busy);
  std::optional<Shard> lease_one(Term term, ShardId shard, ShardState state);
  Saved save(Term term, const Shard& before, const Shard& after, bool keep_lease = false, std::int64_t confirmed = 0);
  ShardContents contents(ShardId shard) const;
  void read_bodies(ShardId shard, const ShardContents& contents, const BodySink& sink) const;
  bool settle(Term term, ShardId shard, const ShardContents& contents, const SettleChunk& chunk);
  bool split(Term term, ShardId shard, const ShardContents& contents, const std::vector<IdRange>& part, bool trial);
  Suspicion suspicion(ShardId shard) const;
  std::int64_t place_wishes(int most);
  std::vector<WishedBatch> wished_batches(int most) const;
  void forget_wished(const WishedBatch& batch);
  std::vector<LiveBatch> live_batches(std::string_view provider) const;
  void file_ceiling_reached(std::string_view provider);
  void note_status(Term term, const std::vector<LiveBatch>& batches);

  std::vector<BookEntry> look_up(std::string_view provider, const std::vector<Claim>& claims) const;
  bool wants_walks(std::string_view provider) const;
  bool record_stray(std::string_view provider, StrayKind kind, const Stray& stray);
  std::vector<Stray> open_strays(std::string_view provider) const;
  std::vector<Stray> strays_of(ShardId shard) const;
  void update_stray(std::string_view provider, const Stray& stray, bool done);
  std::optional<BoundShard> bind_found(Term term, const FoundBatch& found);
  void skip_shards(ShardId through);
  void pause_deployment(Term term, std::string_view deployment, std::string_view reason, Milliseconds duration,
                        Milliseconds longest);
  std::optional<Learnt> learn(Term term, std::string_view deployment, const RoomLesson& lesson);
  std::vector<std::string> retry_account(std::string_view provider);

  void suspect_orphans(std::string_view provider);
  std::optional<OrphanTask> orphans_due(std::string_view provider) const;
  FileBooks file_books(std::string_view provider, const std::vector<ShardId>& shards) const;
  FileSlots file_slots(std::string_view provider) const;
  void orphans_swept(Term term, std::string_view provider, const OrphanTask& task, std::int64_t others);

  StoreGauges gauges() const;
  std::vector<JobProgress> jobs(int most) const;

  // For the oracle --------------------------------------------------------------------------------------------------------
  /// Nothing for a term that is not alive.
  std::optional<std::int64_t> beats_of(Term term) const;
  /// When it was last noticed that commits are lost.
  std::optional<Instant> rewound_at() const { return instance_.rewound_at; }
  /// Every request ever enqueued, and not removed since, ascending.
  std::vector<RequestId> requests() const;
  /// Nothing for an id that was never given to a row.
  std::optional<RequestView> request(RequestId id) const;
  /// Every shard that is not retired, closed ones included, ascending.
  std::vector<ShardView> shards() const;
  std::map<std::string, LedgerView> ledger() const;
  std::vector<StrayView> strays() const;
  const std::map<std::pair<ShardId, int>, SubmissionRow>& submissions() const { return submissions_; }
  /// How many requests are not settled.
  std::int64_t unsettled() const;

  // The rows themselves, for who wants to see more.
  const std::vector<RequestRow>& request_rows() const { return requests_; }
  const std::vector<ShardRow>& live_shard_rows() const { return live_; }
  const std::vector<ShardRow>& closed_shard_rows() const { return closed_; }
  const std::vector<StrayRow>& stray_rows() const { return strays_; }
  const std::vector<DeploymentRow>& deployment_rows() const { return deployments_; }
  const std::vector<ReplicaRow>& replica_rows() const { return replicas_; }
  const std::map<std::string, std::optional<Term>, std::less<>>& role_rows() const { return roles_; }
  const std::set<RequestId>& wishes() const { return wishes_; }
  const std::set<std::string, std::less<>>& pauses() const { return pauses_; }
  /// The first thing that is wrong with the data, as a sentence; "" when nothing is. Looks at every row.
  std::string check() const;

 private:
  FakeDatabase& operator=(FakeDatabase&&) = default;

  // Requests, flows and counters (fake_queue.cpp)
  RequestRow* find_request(RequestId id);
  const RequestRow* find_request(RequestId id) const { return const_cast<FakeDatabase*>(this)->find_request(id); }
  FlowRow* find_flow(FlowId id);
  const FlowRow* find_flow(FlowId id) const { return const_cast<FakeDatabase*>(this)->find_flow(id); }
  std::size_t flow_for(const NewRequest& request, std::optional<Instant> deadline);
  void check_request(const NewRequest& request) const;
  void announce(std::size_t flow, const Counts& counts);
  void fold();
  void take_from_queue(RequestRow& row);
  void take_from_retries(RequestRow& row);
  void queue_again(RequestRow& row, Instant due_at);
  void settle_unsent(RequestRow& row, Outcome outcome, std::string error, Counts& counts);
  /// What a new shard takes of the queue.
  struct Claimed {
    std::vector<MemberChunk> chunks;
    std::int64_t requests = 0;
    Bytes bytes = 0;  ///< of the file
    bool cut = false;
  };
  bool may_plan(Term term, const PlanOrder& order, std::int64_t confirmed) const;
  std::int64_t claim(FlowRow& flow, const PlanOrder& order, Claimed& claimed);
  bool holds_plan(Term term) const;
  template <class Late>
  int settle_late(bool returned, Late late, Outcome outcome, std::string_view code, std::string message);
  std::int64_t cancel_queued(const std::vector<RequestId>& ids);
  std::int64_t cancel_returned(const std::vector<RequestId>& ids, bool only_wished);
  std::int64_t queue_settled_again(const std::vector<RequestId>& ids);
  void forget_wish(RequestRow& row);
  void wish(RequestRow& row);
  std::int64_t wishes_in(const ShardRow& row) const;

  // Replicas and trust
  ReplicaRow* find_replica(Term term);
  const ReplicaRow* find_replica(Term term) const { return const_cast<FakeDatabase*>(this)->find_replica(term); }
  bool is_alive(Term term) const { return find_replica(term) != nullptr; }
  bool is_free(const std::optional<Term>& owner, Term term) const;
  bool holds_role(Term term, std::string_view role) const;
  void remove_replica(Term term);
  void remember_ended(Term term, std::int64_t beats);
  bool end_forgotten(Term term, std::int64_t confirmed);
  void distrust(const std::vector<std::string>& providers, bool lost);
  bool is_known(std::string_view provider) const;
  bool is_rewound() const { return instance_.timeline != server_->timeline(); }
  bool is_trusted(std::string_view provider) const;
  bool takes_work(std::string_view provider) const;
  bool is_open_loss(const StrayRow& row) const;
  bool is_doubtful(const ShardRow& row) const;
  void give_up(ShardRow& row, Instant now);
  std::string new_name();
  Milliseconds mend_clock(Milliseconds ttl, std::optional<Milliseconds> since);
  void move_along(Instant present, Instant back);

  // Money (fake_money.cpp)
  void publish_money(const MoneyRules& rules);
  std::map<std::string, NanoDollars> staged_money() const;
  std::optional<CapState> day_cap() const;
  std::optional<CapState> job_cap(const std::string& job) const;
  std::optional<Tariff> tariff_of(const ShardRow& row) const;
  bool waits_for_money(const FlowRow& flow, Instant now) const;
  bool needs_money(const std::string& model) const;
  bool affords(ShardId shard) const;
  void note_money_wait(const std::string& model, const Shortage& shortage);
  void note_unaffordable(const ShardRow& row);
  void reserve_money(ShardId shard);
  void release_money(ShardId shard);
  void settle_money(const ShardRow& row);
  void note_bounds(const ShardRow& row, const Shard& after);
  void move_money(const ShardRow& row, const Shard& before, const Shard& after);
  void count_money(const ShardRow& row, const ShardContents& contents, const SettleChunk& chunk);
  BudgetGauges budget() const;
  std::string check_money() const;

  // Shards
  ShardRow* find_live(ShardId id);
  ShardRow* find_shard(ShardId id);
  const ShardRow* find_live(ShardId id) const { return const_cast<FakeDatabase*>(this)->find_live(id); }
  const ShardRow* find_shard(ShardId id) const { return const_cast<FakeDatabase*>(this)->find_shard(id); }
  ShardId next_shard();
  void check_new(ShardId id) const;
  ShardRow& insert_shard(ShardRow row);
  bool is_taken(ShardId id, std::string_view provider) const;
  void close(ShardId id);
  Shard leased(ShardRow& row, Term term);
  bool is_unwanted(const ShardRow& row) const;
  bool is_paused(std::string_view scope) const { return pauses_.contains(scope); }
  DeploymentRow* find_deployment(std::string_view name);
  const DeploymentRow* find_deployment(std::string_view name) const {
    return const_cast<FakeDatabase*>(this)->find_deployment(name);
  }
  bool accepts(const DeploymentRow& deployment, Tokens growth, const ShardRow& row) const;
  void check_shard(const Shard& shard) const;
  void hurry_refused_for_room(const std::string& deployment);
  Room room_of(const DeploymentRow& deployment) const;
  RoomUse use_of(const DeploymentRow& deployment) const;
  /// The shard is to be submitted now: there is room, and none before it has been passed for too long.
  bool gets_room(const ShardRow& row) const;
  void release_room(DeploymentRow& deployment, const ShardRow& row, Tokens tokens) const;
  /// Larger files that go before this one and find no room.
  void note_passed(const DeploymentRow& deployment, const ShardRow& row);
  void give_room_back(ShardRow& row);
  ShardRow* lock_settling(ShardId shard, Term term);
  bool is_expected(const ShardRow& row, Term term, const Shard& before) const;
  void check_chunk(const SettleChunk& chunk) const;
  void store_answer(RequestRow& row, AnswerRow answer, bool had_attempts);
  void write(ShardRow& row, const Shard& after, bool keep_lease);
  void check_books(const Shard& before, const Shard& after) const;
  void keep_books(const Shard& before, const Shard& after);
  /// A batch that turned up is the answer to that POST, announced or not.
  void book_found(std::pair<ShardId, int> post, const std::string& provider, const FileId& input_file, const BatchId& batch,
                  Instant now);
  const std::pair<const std::pair<ShardId, int>, SubmissionRow>* sent_with(std::string_view provider, const Claim& claim) const;
  const ShardRow* uploaded_as(std::string_view provider, const Claim& claim) const;
  bool may_judge_files(std::string_view provider) const;
  std::int64_t undecided(const ShardRow& row) const;
  BookEntry look_up(std::string_view provider, const Claim& claim) const;
  const ShardRow* holder_of(std::string_view provider, const BatchId& batch) const;
  Stray shown(const StrayRow& row, Instant now) const;
  DeploymentRow* deployment_for(const FoundBatch& found, const std::string& model);
  void take_waiting(std::size_t flow, const std::vector<RequestId>& ids, ShardRow& into);
  void note_lines(const std::vector<CustomId>& lines, const Members& members);

  std::string check_requests() const;
  std::string check_shards() const;
  std::string check_flows() const;
  std::string check_jobs() const;
  std::string check_totals() const;

  std::shared_ptr<FakeServer> server_;

  std::int64_t request_sequence_ = 0;
  std::int64_t shard_sequence_ = 0;
  std::int64_t notifications_ = 0;
  bool hint_armed_ = true;
  InstanceRow instance_;
  Instant clock_seen_{0};

  std::vector<RequestRow> requests_;  ///< ascending
  std::map<std::pair<std::string, std::string>, RequestId> keys_;
  std::set<RequestId> wishes_;
  std::vector<FlowRow> flows_;
  std::vector<DeltaRow> deltas_;
  std::map<std::string, JobRow, std::less<>> job_counts_;
  Counts total_;

  std::vector<ShardRow> live_;    ///< ascending
  std::vector<ShardRow> closed_;  ///< ascending
  std::map<std::pair<ShardId, int>, SubmissionRow> submissions_;
  std::vector<StrayRow> strays_;

  std::vector<DeploymentRow> deployments_;  ///< by name
  std::vector<ReplicaRow> replicas_;
  std::vector<EndedTermRow> ended_terms_;
  std::map<std::string, std::optional<Term>, std::less<>> roles_;
  std::set<std::string, std::less<>> pauses_;
  std::map<std::string, UnmatchedRow, std::less<>> unmatched_;
  std::map<std::string, Instant, std::less<>> file_ceilings_;
  std::map<std::string, OrphanRow, std::less<>> orphan_searches_;
  FakeMoney money_;
};

/// Adds the rows of shard_member that hold these requests of a flow.
void append_chunks(std::vector<MemberChunk>& chunks, FlowId flow, std::vector<RequestId> ids);
/// A POST of the shard is about to go out.
bool announces(const Shard& before, const Shard& after);
/// A batch that turned up becomes the shard's without a POST.
bool was_found(const Shard& before, const Shard& after);
/// Rounded as PostgreSQL does when it makes a bigint of `1000 * extract(epoch FROM …)`.
Milliseconds to_milliseconds(Instant span);
/// How many bits of a stored bitmap are set.
std::int64_t bit_count(std::string_view bitmap);

}  // namespace batchd::simulation
