// What `batchd run` keeps beside the requests in its private database: which line of the input file is which request. It takes
// a whole file in in one transaction, tells how far it is, and gives the results back in the order of the lines. Nothing holds
// the file in memory. It relies on being the only producer and the only replica: the caller's lock on the state sees to that.
#pragma once

#include "core/planning.hpp"
#include "db/database.hpp"
#include "db/enqueue.hpp"
#include "db/reading.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace batchd {

/// A line of the input as a request. Its `key` is the line's custom_id, or nothing.
struct InputLine {
  std::int64_t number = 0;  ///< in the file, from 1
  NewRequest request;
};

/// A custom_id that stands in two lines.
struct Duplicate {
  std::int64_t line = 0;
  std::int64_t first = 0;  ///< the line that has it already
  std::string custom_id;
};

struct EndpointUse {
  std::string endpoint;
  std::int64_t first_line = 0;
};

struct ModelUse {
  std::string model;
  std::int64_t requests = 0;
  std::int64_t first_line = 0;
  std::vector<EndpointUse> endpoints{};
};

/// How a file stands after it was taken in.
struct IntakeCounts {
  std::int64_t lines = 0;
  std::int64_t fresh = 0;    ///< enqueued now
  std::int64_t again = 0;    ///< settled without an answer before, and queued once more now
  std::int64_t settled = 0;  ///< settled already
  std::int64_t dropped = 0;  ///< requests of lines that are no longer in the file, cancelled
};

/// A job as the person who waits for it sees it.
struct RunProgress {
  std::int64_t lines = 0, settled = 0, succeeded = 0, failed = 0, in_flight = 0, queued = 0;
  Tokens input_tokens = 0, output_tokens = 0;
  std::int64_t at_provider = 0;  ///< of those in flight
  std::int64_t untidy = 0;       ///< batches whose files are still to be deleted at the provider
  std::string paused;            ///< the deployment that is paused and why; "" when none is
  std::string trouble;           ///< what a step that is tried again failed of, "" when nothing did
  bool finished() const { return queued == 0 && in_flight == 0; }
};

/// Failures alike.
struct FailureGroup {
  std::string outcome, code, message;
  std::int64_t requests = 0;
  std::string custom_id;  ///< of the first of them
  std::int64_t line = 0;
};

struct RunTotals {
  std::int64_t lines = 0, succeeded = 0, failed = 0;
  Tokens input_tokens = 0, output_tokens = 0;
  std::vector<FailureGroup> failures;  ///< the largest groups first
  std::int64_t more_groups = 0;        ///< that are not in `failures`
};

/// What a line without a custom_id is called in the output.
std::string line_name(std::int64_t number);

/// Every method throws StoreError when the database cannot be used.
class RunBook {
 public:
  explicit RunBook(Database& database) : database_(database) {}

  /// Makes what this class needs, and frees what an earlier process held: it is gone.
  void open();

  /// Fills in the next line; false when there are no more.
  using Lines = std::function<bool(InputLine&)>;
  /// Looks at what was read before any of it is enqueued; what it throws passes through, and nothing is enqueued.
  using Check = std::function<void(const std::vector<Duplicate>&, std::int64_t duplicates, const std::vector<ModelUse>&)>;
  struct IntakeOptions {
    std::string job;
    bool retry_failed = false;  ///< what failed before is queued again
  };
  /// Takes the file in, all of it or nothing. A line is known by its custom_id and its contents, one without a custom_id by its
  /// contents and by how many equal ones stand before it: whatever was enqueued before is not enqueued again.
  /// From now on this job is the one at work: others are paused.
  IntakeCounts take_in(const IntakeOptions& options, const Lines& lines, const Check& check);

  /// Sends back to the queue what was packed for a deployment that is not there any more, or for a larger quota than it has now.
  void unpack_misfits(const std::vector<DeploymentSettings>& deployments);

  /// `lines`: how many the file has.
  RunProgress progress(const std::string& job, std::int64_t lines);
  RunTotals totals(const std::string& job);
  /// Streams the results in the order of the lines, `key` being what the output shows as custom_id.
  void results(const std::string& job, const ResultSink& sink);

 private:
  Database& database_;
};

}  // namespace batchd
