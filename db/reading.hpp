// What the commands that only look at the database read: jobs, results, requests. Synchronous, through the public views
// (role batchd_reader suffices); nothing here writes, and nothing holds a job's results in memory.
#pragma once

#include "core/money.hpp"
#include "core/outcome.hpp"
#include "db/database.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// A row of batchd.job_progress. Times are ISO 8601 in UTC, such as "2026-01-31T12:00:00Z".
struct JobStatus {
  std::string job;
  std::int64_t accepted = 0, queued = 0, in_flight = 0, succeeded = 0, failed = 0, cancelled = 0, expired = 0;
  Tokens input_tokens = 0, output_tokens = 0;
  std::string started;                          ///< when its first request was accepted
  std::optional<std::string> last_settled;      ///< when a request was last settled
  std::optional<std::string> estimated_finish;  ///< from the rate so far; nothing when finished or not yet known
  bool waits_for_money = false;                 ///< a cap has no room for some of it
  NanoDollars cost = 0;                         ///< of the shards that are merged; 0 where no model has a price

  std::int64_t settled() const { return succeeded + failed + cancelled + expired; }
  bool finished() const { return queued == 0 && in_flight == 0; }
};

/// A row of batchd.result, with what its producer calls it.
struct ResultRow {
  RequestId request;
  std::optional<std::string> key;
  Outcome outcome = Outcome::failed;
  std::optional<int> status_code;
  std::optional<std::string> response;  ///< JSON, byte for byte
  std::optional<std::string> error;     ///< JSON
  std::optional<std::string> provider_request_id;

  /// What a batch output line shows as `custom_id`.
  std::string custom_id() const { return key ? *key : std::to_string(request.value); }
};

/// A row of batchd.request_status.
struct RequestState {
  RequestId request;
  std::string job;
  std::optional<std::string> key;
  std::string state;  ///< queued | in_flight | succeeded | failed | cancelled | expired
  int attempts = 0;
  std::optional<std::int64_t> shard;
  std::optional<std::string> batch;
  std::optional<std::string> last_error;  ///< JSON
};

/// A shard that is not closed, for people.
struct ShardLine {
  std::int64_t shard = 0;
  std::string state, deployment, provider, model;
  int attempt = 1;
  std::int64_t requests = 0;
  std::optional<std::string> batch;
  std::string batch_status;
  std::int64_t age_seconds = 0;  ///< in this state
  bool answer_unknown = false;   ///< a POST was announced and its answer is not recorded
  std::optional<std::string> input_file;
  std::string error;  ///< JSON, "" for none
};

/// Receives one result; `false` ends the reading. What it throws passes through.
using ResultSink = std::function<bool(const ResultRow&)>;

/// Every method throws StoreError when the database cannot be used.
class Reading {
 public:
  explicit Reading(Database& database) : database_(database) {}

  /// Nothing when no request was ever enqueued under this name.
  std::optional<JobStatus> job(std::string_view name);
  /// Unfinished jobs first, then the latest; at most `most`.
  std::vector<JobStatus> jobs(int most = 100);
  /// Streams a job's results in the order of request ids.
  void results(std::string_view job, const ResultSink& sink);
  std::optional<RequestState> request(RequestId id);
  std::optional<RequestState> request(std::string_view job, std::string_view key);
  /// Of one deployment, or of all. Needs the role batchd_worker, or the owner.
  std::vector<ShardLine> shards(int most = 100, const std::string& deployment = "");

 private:
  Database& database_;
};

}  // namespace batchd
