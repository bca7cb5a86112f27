// The provider's own books: what was accepted, run and billed, and what was done to things that are not ours. The source of
// the oracle; nothing in here is ever shown through the port.
#pragma once

#include "core/batch.hpp"
#include "core/remote_names.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace batchd::simulation {

/// One line of a batch that ran.
struct LineRun {
  std::size_t batch = 0;  ///< its BatchEntry
  CustomId id;
  std::uint64_t prompt = 0;  ///< prompt_hash of the body
  int status = 0;            ///< of the answer; 0: none
  bool billed = false;       ///< answered with 200: it costs money
  bool written = false;      ///< an answer to be read stands in a result file, whatever became of that file
};

/// One batch that was accepted.
struct BatchEntry {
  BatchId id;
  bool foreign = false;
  FileId input;
  std::string instance;  ///< from its metadata, "" and 0 when there are none
  ShardId shard;
  int attempt = 0;
  std::string deployment;
  Tokens tokens = 0;  ///< counted from its lines
  std::int64_t lines = 0;
  Milliseconds accepted{0};
  Milliseconds listed_from{0};               ///< no list shows it before
  Milliseconds listed_surely{0};             ///< every list shows it from then on, until it vanishes
  std::optional<Milliseconds> first_listed;  ///< when a list first did
  std::optional<Milliseconds> over;          ///< when it reached its end
  BatchStatus end = BatchStatus::unknown;    ///< which one
  /// From when on its answers are out of reach by no doing of the caller: it vanishes, it never names its output file, or
  /// somebody else deletes that.
  Milliseconds lost_from{INT64_MAX};
  /// When its input file was deleted through the port although it had not come to its end.
  std::optional<Milliseconds> deprived;
  /// From when on nothing tells whose it is: it shows no metadata, and its input file is gone.
  std::optional<Milliseconds> traceless_from;
  std::size_t first_run = 0;  ///< its runs are runs[first_run] to runs[first_run + ran - 1]
  std::size_t ran = 0;
};

/// Whose POST: a shard's attempt of an instance.
struct PostKey {
  std::string instance;
  ShardId shard;
  int attempt = 0;
  friend auto operator<=>(const PostKey&, const PostKey&) = default;
};

enum class Trespass {
  foreign_deleted,     ///< somebody else's file
  foreign_cancelled,   ///< somebody else's batch
  foreign_downloaded,  ///< somebody else's file
  foreign_used,        ///< a batch made on somebody else's file
  bad_file,            ///< a line that no provider takes: malformed, a custom_id twice, a mixed url or model
};
std::string_view to_string(Trespass trespass);

struct Violation {
  Milliseconds at{0};
  Trespass what = Trespass::bad_file;
  std::string object;  ///< the file's or batch's id
};

/// What was enqueued at a deployment by those under test; what others hold is not in it.
struct Enqueued {
  Tokens limit = 0;  ///< 0: none
  Tokens now = 0;
  Tokens highest = 0;
  int overruns = 0;  ///< batches that were sent although they did not fit beside our own, accepted or not
};

struct Ledger {
  std::vector<LineRun> runs;  ///< in the order in which they ran
  std::vector<BatchEntry> batches;
  std::map<PostKey, int> posts;  ///< accepted POSTs that carried our kind of metadata
  std::vector<Violation> violations;
  std::map<std::string, Enqueued> deployments;
  int calls = 0;        ///< that arrived
  int batch_pages = 0;  ///< of the calls: pages of the list of batches
  int posts_refused = 0;

  std::int64_t billed() const;
};

}  // namespace batchd::simulation
