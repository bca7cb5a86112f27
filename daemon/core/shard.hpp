// A shard's life as values: what it is, what can happen to it, and what it becomes.
//
//   planned ─▶ uploaded ─▶ submitted ─▶ finished ─▶ merged ─▶ closed
//
// Within one attempt the state only moves forward. A failure is not a branch: a batch that failed, expired or was
// cancelled is `finished` with fewer answers, and merging sends the unanswered requests round again.
// A POST that may or may not have arrived is not a state either: `intent` is set and no answer is recorded.
#pragma once

#include "core/batch.hpp"
#include "core/error.hpp"
#include "core/money.hpp"
#include "core/types.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace batchd {

enum class ShardState { planned, uploaded, submitted, finished, merged, closed };

std::string_view to_string(ShardState state);
std::optional<ShardState> parse_shard_state(std::string_view text);

/// Why a finished shard has the answers it has; decides whether its unanswered requests used up an attempt.
enum class FinishReason {
  none,       ///< not finished
  ran,        ///< the batch ended by itself (completed, or failed after it had started): unanswered requests used an attempt
  expired,    ///< the batch ended as `expired`: unanswered requests used an attempt, the last one ends as `expired`
  cancelled,  ///< the batch was cancelled: unanswered requests go round again at no cost
  refused,    ///< the provider refused the file or the batch for what it contains
  given_up,   ///< never submitted (nothing left to send, or no longer wanted): no cost
};

std::string_view to_string(FinishReason reason);
std::optional<FinishReason> parse_finish_reason(std::string_view text);

/// The code of the error that a shard waits with because the quota was full, whatever words the provider had for it: it is due
/// when a batch of its deployment ends.
inline constexpr std::string_view no_room_code = "token_limit_exceeded";

struct Shard {
  ShardId id;
  Lane lane;
  std::string deployment;
  std::string provider;
  int priority = 0;

  ShardState state = ShardState::planned;
  /// Counts the submissions of this shard: at most one POST /batches is made for each.
  int attempt = 1;
  std::int64_t requests = 0;  ///< members
  Bytes bytes = 0;            ///< of the file: estimated while planned, exact once uploaded
  Tokens tokens = 0;          ///< estimated, what will be reserved
  Tokens reserved = 0;        ///< what the deployment's ledger holds for this shard right now

  /// A POST /batches of this attempt was announced; until an answer is recorded the batch may exist.
  bool intent = false;
  /// Complete List walks made for this intent that did not find the batch.
  int looks = 0;

  std::optional<FileId> input_file;
  std::optional<BatchId> batch;
  BatchStatus batch_status = BatchStatus::unknown;
  std::optional<FileId> output_file;
  std::optional<FileId> error_file;
  FinishReason finish_reason = FinishReason::none;
  /// The provider's account of what went wrong, `{"code":…,"message":…}`, "" when nothing did.
  std::string error;

  /// Consecutive failures of the present step, for the backoff; any progress resets it.
  int failures = 0;
  /// How often in a row the provider denied that there is what the present step needs, a batch or a file; whatever else it says,
  /// and any progress, resets it.
  int denials = 0;
  /// The same for a result file that ended early.
  int short_reads = 0;
  /// Written: when the next step is due, counted from the database's clock at the time of saving.
  Milliseconds due_in{0};
  /// Written: the attempt whose POST became a batch that was found; the books are told.
  int found_attempt = 0;
  /// Written: what its file may cost, by job, once that is known; nothing for a model without prices.
  std::vector<JobBound> bounds;

  // Read only; ages by the database's clock at the time of reading.
  Milliseconds intent_age{0};
  Milliseconds state_age{0};
  /// It should not be submitted as it is: a request in it was cancelled, or what it is for was stopped by a person.
  bool unwanted = false;
  /// Its files should go at once, because the provider holds too many.
  bool hurried = false;
  /// It is older than a loss of commits: it may have been answered, and merged, in what is forgotten.
  bool doubtful = false;
  /// The term under which it was leased: whatever follows from having it is done and written under that term or not at all.
  Term lease;
};

// Events ------------------------------------------------------------------------------------------------------------
struct Uploaded {
  FileId file;
  Bytes bytes = 0;
  Tokens tokens = 0;
  std::vector<JobBound> bounds{};  ///< what it may cost
};
/// It will not be submitted: nothing is left to send, its deployment is gone, or nobody wants it as it is. Its undecided
/// requests return at no cost.
struct GivenUp {};
/// The uploaded file cannot be used (refused while processed, expired, deleted by someone): it is made and sent anew.
struct FileLost {
  Milliseconds retry_in{0};
  std::string error;  ///< JSON
};
/// Room is reserved and the POST is announced; must be committed before the POST.
struct Intended {};
struct Created {
  Batch batch;
};
/// The POST was certainly not accepted, and the same file may be submitted again.
struct NotCreated {
  ProviderError error;
  Milliseconds retry_in{0};
};
/// The provider will never take this file in this form.
struct Refused {
  ProviderError error;
};
/// A complete List walk did not show the batch of the open intent.
struct NotFoundInList {
  Milliseconds retry_in{0};
};
/// The input file is gone at the provider, so that the open intent can no longer become a batch.
struct Fenced {};
/// The batch reached a terminal state.
struct Ended {
  Batch batch;
};
/// The provider does not know the batch any more: whatever it answered is lost.
struct Vanished {};
/// The batch failed for a reason that is not in the file (quota full, deployment unknown): nothing ran, the file stays usable.
struct NotRun {
  Milliseconds retry_in{0};
  std::optional<ProviderError> error{};  ///< nothing: not known
};
/// A batch that the books did not explain turned out to be this shard's: an earlier attempt's that was listed late, or one whose
/// commits were lost. The room that it takes at the provider is taken already.
struct Found {
  Batch batch;
  int attempt = 1;  ///< of the POST it came from
  FileId input_file;
};
/// Every member is decided.
struct Merged {};
/// Remote files are gone, or are to be kept.
struct Closed {};
/// A step failed without effect: same state, later.
struct Delayed {
  Milliseconds retry_in{0};
  std::string error;  ///< JSON, "" to leave the recorded one
  ErrorKind kind = ErrorKind::unknown;
};

using ShardEvent = std::variant<Uploaded, GivenUp, FileLost, Intended, Created, NotCreated, Refused, NotFoundInList, Fenced,
                                Ended, Vanished, NotRun, Found, Merged, Closed, Delayed>;

/// What the shard becomes. Total over (state, event): an event that does not fit the state throws std::logic_error,
/// because only a bug in a stage can produce one.
Shard apply(const Shard& shard, const ShardEvent& event);

}  // namespace batchd
