// The rows of a fake database: the tables of migrations/, as values. What PostgreSQL keeps in several narrow tables for the sake
// of speed stands together here where it has the same key.
#pragma once

#include "core/members.hpp"
#include "core/outcome.hpp"
#include "core/shard.hpp"
#include "db/store.hpp"
#include "simulation/store/fake_server.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace batchd::simulation {

/// batchd.answer.
struct AnswerRow {
  Outcome outcome = Outcome::failed;
  std::optional<int> status_code;
  std::string response;  ///< "" for NULL, as in a Settlement
  std::string error;
  std::optional<Usage> usage;
  std::string provider_request_id;
  Instant finished_at{0};
  std::optional<ShardId> shard;
  int attempt = 0;
};

/// batchd.cancel_wish.
enum class Wish { none, unplaced, placed };

/// batchd.request with whatever has its id as key: queue, retry, request_attempt, cancel_wish, answer, result_history.
struct RequestRow {
  RequestId id;
  std::size_t flow = 0;  ///< its place among the flows
  std::string key;       ///< "" for NULL
  std::string body;
  std::optional<Instant> deadline;
  Instant created_at{0};

  bool queued = false;            ///< a row of queue
  std::optional<Instant> due_at;  ///< a row of retry
  std::optional<int> attempts;    ///< a row of request_attempt
  std::string attempt_error;
  Wish wish = Wish::none;
  std::optional<AnswerRow> answer;
  std::vector<AnswerRow> history;

  Bytes bytes() const { return static_cast<Bytes>(body.size()); }
};

/// What changed in a flow and a job: a row of batchd.delta without its names.
struct Counts {
  std::int64_t accepted = 0, queued = 0, queued_bytes = 0, returned = 0, in_flight = 0;
  std::int64_t outcomes[4] = {};
  Tokens input = 0, output = 0;

  std::int64_t settled() const { return outcomes[0] + outcomes[1] + outcomes[2] + outcomes[3]; }
  void add(const Counts& other) {
    accepted += other.accepted;
    queued += other.queued;
    queued_bytes += other.queued_bytes;
    returned += other.returned;
    in_flight += other.in_flight;
    for (std::size_t i = 0; i < 4; ++i) outcomes[i] += other.outcomes[i];
    input += other.input;
    output += other.output;
  }
};

struct DeltaRow {
  std::size_t flow = 0;
  Counts counts;
  Instant at{0};
};

/// A flow: batchd.flow once it was rolled up, batchd.flow_cursor once something was planned, and its part of queue and retry.
struct FlowRow {
  FlowId id;
  Lane lane;
  std::string job;
  int priority = 0;
  std::optional<Instant> deadline;  ///< cut to the minute

  bool known = false;  ///< it has been rolled up
  std::int64_t queued = 0, queued_bytes = 0, returned = 0;
  std::optional<Instant> waiting_since;
  std::optional<Instant> cursor_waiting_since;

  std::vector<RequestId> queue;                        ///< ascending
  std::vector<std::pair<Instant, RequestId>> retries;  ///< by due time, then id
};

/// batchd.job_count.
struct JobRow {
  std::int64_t accepted = 0, queued = 0, in_flight = 0;
  std::int64_t outcomes[4] = {};
  Tokens input = 0, output = 0;
  Instant first_at{0};
  std::optional<Instant> last_at;
};

struct DeploymentRow {
  std::string name, provider, model;
  Tokens limit = 0;
  Tokens reserved = 0;
  std::int64_t generation = 0;
  bool configured = false;
  std::optional<Instant> paused_until;
  std::optional<std::string> pause_reason;
  std::optional<Instant> paused_for;
  // What is believed of its quota.
  Tokens dynamic_limit = 0;
  std::optional<Tokens> believed, told;
  std::optional<Instant> told_at, settled_at, ended_at;
  int strikes = 0;
  std::int64_t refusals = 0;
  Milliseconds release_lag{0};
  bool lag_blamed = false;
  std::vector<std::pair<Tokens, Instant>> leaving;  ///< and until when
  std::optional<Milliseconds> turnaround;
};

struct ReplicaRow {
  Term term;
  ReplicaInfo info;
  Instant heartbeat_at{0};
  std::int64_t beats = 0;
};

/// batchd.ended_term.
struct EndedTermRow {
  Term term;
  Instant ended_at{0};
  std::int64_t beats = 0;
};

/// batchd.shard with its members and their bitmap. `shard` holds the columns that the port shows; its lease, its ages, `due_in`,
/// `unwanted`, `hurried`, `doubtful` and `found_attempt` mean nothing here.
struct ShardRow {
  Shard shard;
  std::optional<Instant> deadline;
  std::optional<Instant> intent_at;
  Instant due_at{0};
  std::optional<Term> owner;
  Instant created_at{0}, state_at{0};
  std::optional<Instant> finished_at, closed_at, wished_at, accepted_at, suspect_since, submitted_at, passed_at;
  std::optional<ShardId> trial;
  Members members;      ///< none once it is merged
  std::string decided;  ///< the bitmap, "" when there is no row
};

/// ORDER BY priority DESC, deadline, id; NULL comes last.
bool is_leased_before(const ShardRow* a, const ShardRow* b);

enum class PostAnswer { open, created, not_created, fenced };

/// batchd.submission; its key is (shard, attempt).
struct SubmissionRow {
  std::string provider;
  std::string input_file;
  Instant announced_at{0};
  PostAnswer answer = PostAnswer::open;
  std::optional<Instant> answered_at;
  std::string batch;  ///< "" for NULL
};

struct StrayRow {
  std::string provider;
  StrayKind kind = StrayKind::duplicate;
  Stray stray;
  Instant found_at{0};
  std::optional<Instant> over_at, used_at, done_at;
};

struct UnmatchedRow {
  bool rewound = false;
  Instant since{0};
};

struct OrphanRow {
  Instant due_at{0};
  Instant suspected_at{0};
  std::int64_t others = 0;
  std::optional<Instant> counted_at{};
};

struct InstanceRow {
  std::string id;
  std::int64_t identity = 0;
  int timeline = 0;
  std::optional<Instant> rewound_at, loss_accepted;
  std::int64_t retired_through = 0;
};

}  // namespace batchd::simulation
