// The port to PostgreSQL, in verbs of the domain. One verb is one transaction; none is open while a provider is awaited.
//
// Outcomes that are part of the work (a lost lease, no room in the quota) are return values; a database that cannot be
// used throws StoreError, and the caller tries again later. All times are the database's.
#pragma once

#include "core/file_slots.hpp"
#include "core/members.hpp"
#include "core/money.hpp"
#include "core/outcome.hpp"
#include "core/planning.hpp"
#include "core/quota.hpp"
#include "core/recognition.hpp"
#include "core/refusal.hpp"
#include "core/remote_names.hpp"
#include "core/shard.hpp"
#include "core/types.hpp"
#include "runtime/task.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace batchd {

struct FileBooks;  // core/orphan.hpp

/// The database could not do what was asked: away, read-only, timed out. Safe to try again: every verb may run twice.
class StoreError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a replica tells about itself.
struct ReplicaInfo {
  std::string host;
  std::int64_t pid = 0;
  std::string version;
  std::vector<std::string> providers;  ///< that it is configured to use
};

/// What a heartbeat finds.
enum class Standing {
  alive,
  buried,   ///< another replica has judged this one dead: its term is void
  rewound,  ///< the database has forgotten what it had confirmed: a backup was restored, or a standby promoted early
};

/// A provider whose list has to be compared with the books before anything is planned or posted there.
struct Unmatched {
  std::string provider;
  bool rewound = false;  ///< because commits are known to be lost; else because a replica has just started
  std::string mark;      ///< for matched()
};

/// What came of looking for dead replicas.
struct Burial {
  int replicas = 0;
  Milliseconds clock_step{0};  ///< by how much the database's clock turned out to have been set, backwards if negative
};

struct PlannedShard {
  ShardId id;
  std::int64_t requests = 0;
  Bytes bytes = 0;
};

/// Members of a shard with what is already known of each.
struct ShardContents {
  Members members;
  Bitmap decided;
  /// Attempts used up before this shard, for the members that have any.
  std::unordered_map<RequestId, int> attempts;
  /// What they may cost and what they have cost; nothing when their model has no price.
  std::optional<Tariff> tariff;
};

/// One step of deciding members: applied whole, once, under the fencing token.
struct SettleChunk {
  std::vector<Settlement> settled;
  std::vector<Return> returned;
  std::vector<Shortage> shortages{};  ///< of what is returned because it would cost too much now
};

struct LiveBatch {
  ShardId shard;
  BatchId batch;
  BatchStatus status = BatchStatus::unknown;
  bool denied = false;  ///< by the provider, when it was last asked for it
};

/// A submitted shard in which requests were cancelled.
struct WishedBatch {
  LiveBatch batch;
  std::string provider;
  std::int64_t wanted = 0;  ///< undecided requests in it that nobody has cancelled
  std::string mark;         ///< for forget_wished()
};

/// What the database knows about a refused shard, beside the shard itself.
struct Suspicion {
  Trial trial = Trial::none;
  bool halved = false;         ///< it is a part of a larger one that was refused
  bool lane_works = false;     ///< since that was refused, a file of the same deployment and endpoint passed the examination
  bool other_suspect = false;  ///< another shard of the lane is down to its last suspect
};

enum class StrayKind {
  duplicate,  ///< to be stopped, used and cleared away
  harmless,   ///< nothing ran: remembered so that it is not judged again
  lost,       ///< nothing is left to learn its requests or its answers from: people are told
};

/// A batch at a provider whose requests wait in the queue, or some of them.
struct FoundBatch {
  std::string provider;
  BatchId batch;
  std::optional<ShardId> shard;  ///< the number it was submitted under; nothing: a new one
  int attempt = 1;
  FileId input_file;
  std::string model;  ///< as its lines name it, "" when not known
  Tokens tokens = 0;  ///< that it holds of the quota
  std::vector<CustomId> lines;
};

struct BoundShard {
  std::optional<ShardId> id;  ///< nothing when none of the requests waits
  std::int64_t requests = 0;
};

enum class SaveResult {
  saved,
  lost,      ///< the lease or the expected state is gone: another replica has the shard, drop it
  no_room,   ///< the deployment's quota has no room for the reservation asked for, or the deployment is paused
  no_money,  ///< a cap has no room for what it may cost; noted for the planner and for people
};

/// Receives the body of one member, on a pool thread; `false` stops the reading.
using BodySink = std::function<bool(RequestId, std::string_view body)>;

/// The money of the present UTC day.
struct BudgetGauges {
  NanoDollars spent = 0;
  NanoDollars reserved = 0;
  std::optional<NanoDollars> daily;  ///< the cap
  std::map<std::string, NanoDollars> spent_by_deployment;
};

/// Gauges of the whole database, from counters: nothing here counts rows.
struct StoreGauges {
  std::int64_t accepted = 0;  ///< requests ever enqueued and not yet removed by retention
  std::int64_t queued = 0;
  std::int64_t in_flight = 0;
  std::map<std::string, std::int64_t> settled;  ///< by outcome
  std::map<std::string, std::int64_t> shards;   ///< by state; closed ones are not counted
  std::map<Lane, std::int64_t> queued_by_lane;
  Milliseconds oldest_queued{0};
  std::int64_t submissions_unknown = 0;
  std::map<std::string, std::int64_t> files;  ///< that a provider holds, ours and others, by provider
  std::vector<DeploymentLoad> deployments;
  BudgetGauges budget;
};

/// That a provider's files are to be looked through.
struct OrphanTask {
  std::string mark;  ///< for orphans_swept()
};

struct JobProgress {
  std::string job;
  std::int64_t queued = 0, in_flight = 0, succeeded = 0, failed = 0, cancelled = 0, expired = 0;
  Tokens input_tokens = 0, output_tokens = 0;
  NanoDollars cost = 0;  ///< of the shards that are merged
};

class Store {
 public:
  virtual ~Store() = default;

  // Replicas, roles, configuration ------------------------------------------------------------------------------------
  /// Registers this process and returns its fresh random term. Its providers become unmatched: nobody knows what this database
  /// went through before.
  virtual Task<Term> join(const ReplicaInfo& replica) = 0;
  /// Renews the heartbeat. When the database turns out to be rewound, all providers become unmatched, the shards that it knows
  /// are doubtful, and the term is void: what this replica holds in memory is of another past. It is rewound when it knows fewer
  /// beats than were confirmed, another timeline, or neither the term nor its end; it remembers ends for a week, so that a
  /// process that slept for longer after it was buried raises a false alarm, which costs a walk through the lists. Only who was
  /// there before can tell: when every process is new, a restore is noticed by the timeline, or by what the providers list.
  virtual Task<Standing> heartbeat(Term term) = 0;
  /// Commits turned out to be lost: all providers become unmatched, and the shards that the database knows are doubtful.
  virtual Task<void> distrust() = 0;
  /// The providers at which nothing is planned or posted until `matched()` says that their lists agree with the books.
  virtual Task<std::vector<Unmatched>> unmatched() = 0;
  /// The provider's whole list, read since `unmatched()` told of it, has been compared with the books, and what was missing there
  /// is in them now. Without effect when the provider was distrusted again meanwhile, or the term is void.
  virtual Task<void> matched(Term term, const Unmatched& provider) = 0;
  /// Gives back every lease and role and removes the heartbeat.
  virtual Task<void> leave(Term term) = 0;
  /// Removes replicas whose heartbeat is older than `ttl`; what they held is free at once. `last` is when this process did so
  /// last, by its own clock: a clock of the database that was set meanwhile is noticed, and what it had dated is moved along.
  virtual Task<Burial> bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last = {}) = 0;
  /// True when this term holds the role, now or already.
  virtual Task<bool> hold_role(Term term, std::string_view role) = 0;
  virtual Task<void> drop_role(Term term, std::string_view role) = 0;
  /// The instance's id, part of every remote name.
  virtual Task<std::string> instance_id() = 0;
  /// True when this database is visibly a copy of the one the instance was made in: it must not act in that one's name.
  virtual Task<bool> has_moved() = 0;
  /// Makes this configuration the newest generation; deployments not named any more keep their live shards. What it says about
  /// money rules every replica; what waited for other rules is looked at anew. False when the term is void.
  virtual Task<bool> publish(Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money = {}) = 0;

  // Planning ------------------------------------------------------------------------------------------------------------
  /// Folds what producers announced into the counters; returns the flows that have requests waiting or due again, but for those
  /// that would only be left out of a file again for want of money.
  virtual Task<std::vector<Flow>> backlog() = 0;
  virtual Task<std::vector<DeploymentLoad>> deployments() = 0;
  /// Binds the next requests to a new shard. Nothing when `term` does not hold the role `plan`, the deployment's provider is
  /// unmatched, or nothing was there.
  virtual Task<std::optional<PlannedShard>> plan(Term term, const PlanOrder& order) = 0;
  /// Settles queued requests that nobody offers to take and that have waited longer than `after` as failed (`no_deployment`).
  /// Bounded; returns how many.
  virtual Task<int> fail_unroutable(Term term, const std::vector<Offer>& offers, Milliseconds after) = 0;
  /// Settles queued requests whose deadline has passed as `expired` (code `deadline_passed`), when `term` holds the role `plan`.
  /// Bounded; returns how many.
  virtual Task<int> expire_overdue(Term term) = 0;
  /// Makes partitions ahead of the ids, folds counters. Cheap when there is nothing to do. Without a term, because the outcome is
  /// the same whoever does it and however often.
  virtual Task<void> maintain() = 0;
  /// Retention: removes a bounded amount of what was settled longer ago than `settled` (a partition of requests with their
  /// answers and keys, some closed shards). True when there may be more; nothing when the term is void.
  virtual Task<bool> retire(Term term, Milliseconds settled) = 0;

  // Shards --------------------------------------------------------------------------------------------------------------
  /// Leases up to `most` due shards of a state that nobody alive holds, best first (priority, deadline, age). A shard that this
  /// very term holds but that is not in `busy` was dropped by a step that failed, and is free too. An uploaded one that is
  /// neither announced nor unwanted only when its deployment has room for it, and none that goes before it has been passed by
  /// smaller ones for longer than a batch usually takes there.
  virtual Task<std::vector<Shard>> lease(Term term, ShardState state, int most, const std::vector<ShardId>& busy) = 0;
  /// Leases one given shard if it is free (or held by this very term) and in `state`, due or not.
  virtual Task<std::optional<Shard>> lease_one(Term term, ShardId shard, ShardState state) = 0;
  /// Records what a leased shard became, compare-and-set on (term, before.state, before.attempt, before.intent);
  /// moves the deployment's ledger by after.reserved - before.reserved in the same transaction, refusing with `no_room`
  /// when a growth does not fit, the deployment is paused, or its provider is unmatched; and what was set aside for its cost as
  /// core/money_step.hpp says, refusing with `no_money`. The lease is given back unless
  /// `keep_lease`. When the state becomes `merged` the members are released; every member must be decided.
  virtual Task<SaveResult> save(Term term, const Shard& before, const Shard& after, bool keep_lease = false) = 0;

  virtual Task<ShardContents> contents(ShardId shard) = 0;
  /// Streams the bodies of the undecided members, ascending within each chunk, to `sink` on a pool thread.
  /// The sink must not throw anything but StoreError.
  virtual Task<void> read_bodies(ShardId shard, const ShardContents& contents, BodySink sink) = 0;
  /// Decides members: results and returns are written and `decided` (which already has their bits set) is stored, all in
  /// one transaction; false when the lease is lost. `chunk` must name members only, each undecided before.
  virtual Task<bool> settle(Term term, ShardId shard, const ShardContents& contents, SettleChunk chunk) = 0;

  /// Moves members of a refused shard to a new planned shard of the same lane, remembered as its trial when it is one: those in
  /// `part`, whose bits `contents.decided` has already. False when the lease is lost; StoreError while the books are in doubt.
  virtual Task<bool> split(Term term, ShardId shard, const ShardContents& contents, std::vector<IdRange> part, bool trial) = 0;
  virtual Task<Suspicion> suspicion(ShardId shard) = 0;

  /// Tells shards which of their requests were cancelled, up to `most`; returns how many it looked at. Without a term, as that is
  /// what producers have committed, whoever passes it on.
  virtual Task<std::int64_t> place_wishes(int most) = 0;
  /// Up to `most` batches with cancelled requests that nobody has acted upon.
  virtual Task<std::vector<WishedBatch>> wished_batches(int most) = 0;
  /// What was cancelled in a batch has been acted upon; a wish that came later than `batch` was read stays, so that no term is
  /// needed.
  virtual Task<void> forget_wished(const WishedBatch& batch) = 0;

  /// Submitted shards of a provider.
  virtual Task<std::vector<LiveBatch>> live_batches(std::string_view provider) = 0;
  /// A provider holds as many files as it may: the oldest that wait there to be deleted are due at once. A fact about the
  /// provider, true whoever brings it.
  virtual Task<void> file_ceiling_reached(std::string_view provider) = 0;
  /// Notes the provider's word for batches still running (shown by status; decides nothing). Nothing when the term is void.
  virtual Task<void> note_status(Term term, const std::vector<LiveBatch>& batches) = 0;

  // Books ---------------------------------------------------------------------------------------------------------------
  /// What is known of batches that a provider lists, in their order.
  virtual Task<std::vector<BookEntry>> look_up(std::string_view provider, const std::vector<Claim>& claims) = 0;
  /// True while a batch of ours may still turn up there: an attempt was fenced in the last 48 hours, or a duplicate is not done.
  virtual Task<bool> wants_walks(std::string_view provider) = 0;
  /// Remembers a batch that the books do not explain; true when nobody had before.
  virtual Task<bool> record_stray(std::string_view provider, StrayKind kind, const Stray& stray) = 0;
  /// Duplicates at a provider that are not done, the oldest first; a bounded number.
  virtual Task<std::vector<Stray>> open_strays(std::string_view provider) = 0;
  /// Duplicates of a shard's batch that are not done.
  virtual Task<std::vector<Stray>> strays_of(ShardId shard) = 0;
  /// Notes what a duplicate is now; what was seen or done before stays so. Nothing more is to be done about it when `done`.
  virtual Task<void> update_stray(std::string_view provider, const Stray& stray, bool done) = 0;
  /// Binds those of a batch's requests that wait to a submitted shard; none of them is in another live shard then. Nothing when
  /// `term` does not hold the provider's role `watch:…`, or the counters are not rolled up yet.
  virtual Task<std::optional<BoundShard>> bind_found(Term term, const FoundBatch& found) = 0;
  /// Shards made from now on have higher numbers than this one.
  virtual Task<void> skip_shards(ShardId through) = 0;

  /// Stops new submissions of a deployment for `duration` (zero: until resumed), with a reason from a closed set. A pause under
  /// way stays as it is; one that follows another soon lasts twice as long, up to `longest`. Nothing when the term is void.
  virtual Task<void> pause_deployment(Term term, std::string_view deployment, std::string_view reason, Milliseconds duration,
                                      Milliseconds longest) = 0;
  /// Lets a deployment's row learn (core/quota.hpp). Nothing when the term is void or the deployment unknown.
  virtual Task<std::optional<Learnt>> learn(Term term, std::string_view deployment, const RoomLesson& lesson) = 0;
  /// A provider's credential is another one now: lifts the pauses that its account's failures made, and makes due what waits
  /// there after a failure. Returns the deployments that had such failures. Without a term: the worst that it costs is a probe.
  virtual Task<std::vector<std::string>> retry_account(std::string_view provider) = 0;

  // Files at a provider -------------------------------------------------------------------------------------------------
  /// A provider may hold files that no shard will ever know of: an upload's answer was lost, or its replica died.
  virtual Task<void> suspect_orphans(std::string_view provider) = 0;
  /// Whether the provider's files are to be looked through now; never while its list and the books may not agree.
  virtual Task<std::optional<OrphanTask>> orphans_due(std::string_view provider) = 0;
  /// What the books say about files named after these shards.
  virtual Task<FileBooks> file_books(std::string_view provider, const std::vector<ShardId>& shards) = 0;
  virtual Task<FileSlots> file_slots(std::string_view provider) = 0;
  /// They have been looked through, and so many are in nobody's books: the next time is in an hour, or soon when there was a
  /// suspicion of late. Nothing when the term is void or there is a new suspicion.
  virtual Task<void> orphans_swept(Term term, std::string_view provider, const OrphanTask& task, std::int64_t others) = 0;

  // Looking -------------------------------------------------------------------------------------------------------------
  virtual Task<StoreGauges> gauges() = 0;
  virtual Task<std::vector<JobProgress>> jobs(int most) = 0;
  /// A round trip; throws when there is none, or when the schema does not fit this program.
  virtual Task<void> ping() = 0;
  /// Waits until a producer's hint arrives or `most` has passed; true for a hint. Never needed for correctness.
  virtual Task<bool> wait_for_hint(Milliseconds most) = 0;
};

}  // namespace batchd
