// What a conformance test of the store port needs beside the port itself: a database with replicas on it, producers, people, time
// that goes by, and a look at what is there. PostgreSQL and the simulation's fake each implement it; tests are written once.
// It never judges: what must be true is said by the tests.
#pragma once

#include "db/store.hpp"
#include "support/run_task.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace batchd::conformance {

/// What a producer enqueues.
struct Prompt {
  std::string model = "m";
  std::string endpoint = "/v1/chat/completions";
  std::string job = "default";
  std::string key;  ///< "" for none
  int priority = 0;
  /// From now; may be negative.
  std::optional<Milliseconds> deadline_in;
  std::string body = R"({"n":1})";
};

/// What `batchd.request_status` says of a request.
struct RequestRow {
  RequestId id;
  std::string state;
  int attempts = 0;
  std::optional<ShardId> shard;
  std::optional<BatchId> batch;
  std::string last_error;  ///< JSON, "" for none
  friend bool operator==(const RequestRow&, const RequestRow&) = default;
};

/// A row of `batchd.result`, or of `batchd.result_history`.
struct ResultRow {
  RequestId request;
  std::string outcome;
  std::optional<int> status_code;
  std::string response;  ///< byte for byte, "" for none
  std::string error;
  std::optional<Tokens> input_tokens, output_tokens;
  std::string provider_request_id;
  std::optional<ShardId> shard;
  int attempt = 0;
  friend bool operator==(const ResultRow&, const ResultRow&) = default;
};

struct ShardRow {
  ShardId id;
  std::string state;
  std::string deployment, provider, model, endpoint;
  int priority = 0;
  int attempt = 1;
  std::int64_t requests = 0;
  std::int64_t undecided = 0;
  Bytes bytes = 0;
  Tokens tokens = 0, reserved = 0;
  bool intent = false;
  int looks = 0;
  std::string input_file, batch, batch_status, output_file, error_file;  ///< "" for none
  std::string finish_reason, error;
  int failures = 0;
  int denials = 0;
  int short_reads = 0;
  bool due = false;
  std::optional<Term> owner;  ///< a living one
  bool accepted = false;      ///< its batch was seen past the provider's examination
  bool wished = false;        ///< a request in it was cancelled, and nobody has acted upon that
  bool halved = false;
  std::optional<ShardId> trial;
  friend bool operator==(const ShardRow&, const ShardRow&) = default;
};

/// What the books say of one POST.
struct SubmissionRow {
  ShardId shard;
  int attempt = 1;
  std::string provider, input_file, answer, batch;
  friend bool operator==(const SubmissionRow&, const SubmissionRow&) = default;
};

struct StrayRow {
  std::string provider, batch, kind;
  ShardId shard;
  int attempt = 1;
  std::string status, input_file, output_file, error_file;
  bool over = false, used = false, done = false;
  std::int64_t total = -1, completed = -1, failed = -1;  ///< -1 for not told
  std::int64_t batch_created_at = -1;
  friend bool operator==(const StrayRow&, const StrayRow&) = default;
};

struct DeploymentRow {
  std::string name, provider, model;
  Tokens limit = 0, reserved = 0;
  bool configured = false;
  bool paused = false;  ///< by batchd itself
  std::string reason;   ///< of that pause or of the last one
  friend bool operator==(const DeploymentRow&, const DeploymentRow&) = default;
};

/// All that can be seen of a database, each part in the order of its ids or names.
struct Picture {
  std::vector<RequestRow> requests;
  std::vector<ResultRow> results, history;
  std::vector<ShardRow> shards;
  std::vector<SubmissionRow> submissions;
  std::vector<StrayRow> strays;
  std::vector<DeploymentRow> deployments;
  std::vector<std::pair<std::string, Term>> roles;  ///< those that somebody living holds
  std::vector<Term> replicas;
  std::vector<RequestId> wishes;  ///< of requests in flight to be cancelled
  std::vector<std::string> pauses;
  std::vector<std::string> unmatched;  ///< "provider reason"
  friend bool operator==(const Picture&, const Picture&) = default;
};

/// What people have accepted as lost.
struct AcceptedLoss {
  std::int64_t shards = 0;
  std::int64_t batches = 0;
};

class StoreHarness {
 public:
  virtual ~StoreHarness() = default;

  /// A replica's way to the database; 0 and 1 are two replicas, and each remembers what was confirmed to it.
  virtual Store& store(std::size_t replica = 0) = 0;

  template <class T>
  T wait(Task<T> task) {
    return testing::run_task(io_, std::move(task));
  }

  // Producers and people
  /// In one transaction; only those whose keys were not known.
  virtual std::vector<RequestId> enqueue(const std::vector<Prompt>& prompts) = 0;
  virtual bool cancel_request(RequestId id) = 0;
  virtual std::int64_t cancel_job(std::string_view job) = 0;
  virtual bool retry_request(RequestId id) = 0;
  virtual std::int64_t retry_job(std::string_view job) = 0;
  virtual std::int64_t set_priority(std::string_view job, int priority) = 0;
  virtual void pause(std::string_view scope) = 0;
  virtual bool resume(std::string_view scope) = 0;
  virtual AcceptedLoss accept_loss() = 0;
  /// The database turns out to be visibly a copy of the one that the instance was made in.
  virtual void move() = 0;
  /// It is the same installation all the same.
  virtual void adopt() = 0;

  // Time and history
  /// Time goes by, for everybody. Where requests have deadlines: whole minutes. Marks of OrphanTask do not outlive it.
  virtual void pass(Milliseconds time) = 0;
  /// The database's clock is set by so much, and nobody else's.
  virtual void set_clock(Milliseconds by) = 0;
  /// What replicas measure with.
  virtual std::chrono::steady_clock::time_point now() = 0;
  /// bury_dead(), `last` being a moment that now() gave.
  virtual Burial bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last = {}) = 0;
  /// Keeps what is there now as the only backup.
  virtual void backup() = 0;
  /// Everything committed since the backup is forgotten; replicas remember what was confirmed to them.
  virtual void restore() = 0;
  /// The server's history becomes another one, as by a promotion; nothing is forgotten.
  virtual void promote() = 0;

  // Looking
  virtual Picture picture() = 0;
  /// What is wrong with it, "" when nothing is: a request that is not exactly one of queued, in flight and settled, counters that
  /// are not what counting says, a ledger that is not the sum of what shards have reserved.
  virtual std::string check() = 0;

 protected:
  boost::asio::io_context io_;
};

/// What is made for one test.
using MakeHarness = std::unique_ptr<StoreHarness> (*)();
std::unique_ptr<StoreHarness> make_postgresql_harness();
std::unique_ptr<StoreHarness> make_fake_harness();

}  // namespace batchd::conformance
