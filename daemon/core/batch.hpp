// A provider's batch and file objects, reduced to what batchd needs and normalised:
// states in lower case, "" ids absent, times and counts tolerant (PROTOCOL.md 5, 6, 17).
#pragma once

#include "core/types.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace batchd {

enum class BatchStatus {
  validating,
  in_progress,
  finalizing,
  completed,
  failed,
  expired,
  cancelling,
  cancelled,
  unknown,  ///< a word we have never seen: treated as running
};

/// completed, failed, expired or cancelled: nothing more will happen to it.
bool is_terminal(BatchStatus status);
/// Reads a state in any spelling seen in the field ("Validating", "InProgress", "canceled").
BatchStatus parse_batch_status(std::string_view text);
std::string_view to_string(BatchStatus status);

/// One entry of a batch's `errors`.
struct BatchError {
  std::string code;
  std::string message;
  std::optional<std::int64_t> line;  ///< 1-based line of the input file
};

struct RequestCounts {
  std::int64_t total = 0;
  std::int64_t completed = 0;
  std::int64_t failed = 0;
};

struct Batch {
  BatchId id;
  BatchStatus status = BatchStatus::unknown;
  std::optional<FileId> input_file_id;
  std::optional<FileId> output_file_id;
  std::optional<FileId> error_file_id;
  std::optional<std::int64_t> created_at;  ///< unix seconds by the provider's clock
  std::optional<RequestCounts> counts;     ///< absent when any of the three is null
  std::vector<BatchError> errors;
  std::map<std::string, std::string> metadata;
};

/// Which batches somebody wants to see; nothing said: all.
struct BatchFilter {
  std::optional<BatchStatus> status;
  std::optional<std::int64_t> since;  ///< created then or later, unix seconds

  /// One whose creation nobody knows is shown rather than hidden.
  bool passes(const Batch& batch) const;
};

struct BatchPage {
  std::vector<Batch> batches;
  /// The cursor of the next page: absent on the last one.
  std::optional<std::string> next;
};

struct RemoteFile {
  FileId id;
  std::string filename;
  std::string purpose;
  std::string status;  ///< lower case; "" when the provider gave none
  std::optional<Bytes> bytes;
  std::optional<std::int64_t> created_at;
};

struct FilePage {
  std::vector<RemoteFile> files;
  std::optional<std::string> next;
};

}  // namespace batchd
