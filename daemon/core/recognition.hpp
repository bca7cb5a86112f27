// Which of the batches that a provider lists are ours, and what is to be done about each: the books of every POST that was
// announced are compared with what is there (P2, P8). Values and pure functions; stages/watch.cpp asks and acts.
#pragma once

#include "core/batch.hpp"
#include "core/shard.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace batchd {

/// Where a listed batch says it comes from.
struct Claim {
  BatchId batch;
  std::optional<ShardId> shard;  ///< from metadata of this instance; nothing: the books are asked about the input file
  int attempt = 0;
  std::optional<FileId> input_file;
};

/// Nothing for a batch that is somebody else's: one with metadata that does not name this instance, or without any trace.
std::optional<Claim> claim_of(const Batch& batch, std::string_view instance);

/// What the books know about a claim.
struct BookEntry {
  struct Held {
    ShardState state = ShardState::planned;
    int attempt = 1;
    bool intent = false;
    std::optional<BatchId> batch;
    std::int64_t requests = 0;
  };
  std::optional<ShardId> shard;  ///< nothing: neither a POST nor a shard of ours has that input file
  int attempt = 0;
  bool retired = false;          ///< the shard was closed and forgotten long ago
  bool recorded = false;         ///< the batch was judged before, and somebody tends it
  bool announced = false;        ///< a POST of that attempt is in the books
  std::optional<BatchId> batch;  ///< what came of that POST
  std::optional<FileId> input_file;
  std::optional<Held> held;  ///< the shard as it is now
};

enum class Recognition {
  foreign,    ///< not ours: never touched
  known,      ///< as the books say
  open,       ///< its POST is unanswered: the submit stage looks for it
  wait,       ///< cannot be judged before the shard's present step is over
  take_over,  ///< the shard has no batch, and this one belongs to it: a fenced attempt's, or its commit was lost
  duplicate,  ///< the shard has, or had, another batch: this one runs on its own account
  lost,       ///< the books know no such shard, though they should
  harmless,   ///< it ended before anything ran
};

std::string_view to_string(Recognition recognition);

Recognition recognise(const Batch& listed, const BookEntry& books);

/// What was announced under those numbers had another input file: they were given out before, by a database that has lost its
/// commits since.
bool is_of_another_past(const std::optional<FileId>& input_file, const BookEntry& books);

/// It failed while it was validated: no request ran, and nothing was billed.
bool nothing_ran(const Batch& batch);

/// Whether the first of two batches is the better one to take over for the shard that both name.
bool better(const Batch& a, int attempt_a, const Batch& b, int attempt_b);

/// A batch of ours that belongs to no shard, on its way out.
struct Stray {
  BatchId batch;
  ShardId shard;  ///< whose metadata it carries
  int attempt = 1;
  BatchStatus status = BatchStatus::unknown;
  std::optional<FileId> input_file, output_file, error_file;
  std::optional<RequestCounts> counts;
  std::optional<std::int64_t> created_at;
  bool over = false;  ///< nothing more will happen to it at the provider
  bool used = false;  ///< what it answered is stored where it was missing

  // Read only.
  Milliseconds age{0};               ///< since it was found
  Milliseconds idle{0};              ///< since it was over
  std::optional<ShardState> holder;  ///< the state of its shard; nothing when that is forgotten
};

Stray stray_of(const Batch& batch, ShardId shard, int attempt);

enum class StrayStep {
  stop,     ///< ask what it does, and cancel it while it runs
  leave,    ///< its shard is not merged yet, and will read it then
  harvest,  ///< its shard is merged without it: whatever still waits for an answer takes it from here
  clear,    ///< nothing more is to be had: its files can go
};

StrayStep next_step(const Stray& stray);

}  // namespace batchd
