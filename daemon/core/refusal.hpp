// A file or batch that the provider refused as a whole: what the refusal is about, which lines it names, and how the requests
// in it are told apart when it names none (PROTOCOL.md 10, 13).
//
// Without a line the shard is halved: one half goes as a trial of its own while the other waits. A trial that the provider
// takes clears its half, so that the culprit is in the waiting one, which is halved in turn; a trial that is refused holds the
// culprit, so that the waiting half goes free. Each level costs one submission, and the last one carries what went free:
// at most ⌈log2 n⌉ + 1 submissions beside the first one.
#pragma once

#include "core/batch.hpp"
#include "core/shard.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace batchd {

/// What is wrong, by the provider's code and words.
enum class Fault {
  passing,  ///< nothing that was said, or trouble of the provider's own: the same file may well pass the next time
  rows,     ///< something in the file that a request brought along
  size,     ///< the file as a whole: fewer requests would pass
  ours,     ///< how the file was written, or the configuration: no request is to blame, and none passes until someone acts
  account,  ///< the deployment or the account: nothing was looked at
  quota,    ///< the enqueued-token quota was full: nothing was looked at
};

/// Of a batch that failed while it was validated.
Fault fault_of(const Batch& batch);
/// Of a shard's recorded error.
Fault fault_of(std::string_view shard_error);

/// From a shard's recorded error: 1-based line number -> `{"code":…,"message":…}` for the row. Codes that mean a mistake
/// of ours or of the configuration (duplicate_custom_id, url_mismatch, model_mismatch, …) blame no row.
std::map<std::int64_t, std::string> blamed_lines(std::string_view shard_error);

/// What became of the half that was sent as a trial.
enum class Trial {
  none,      ///< there is none
  waiting,   ///< the provider has not said anything about it yet
  accepted,  ///< it passed the provider's examination
  refused,   ///< it was refused too, and at most one of its requests is still suspected
  gone,      ///< it ended without a verdict: given up, cancelled before it was examined, or forgotten
};

/// By the trial shard's own state. `accepted`: its batch was once seen past validation; `undecided`: of its requests.
Trial trial_of(ShardState state, FinishReason reason, bool accepted, std::int64_t undecided);

/// A refused shard, as far as deciding what to do next goes.
struct RefusedShard {
  Fault fault = Fault::rows;
  bool names_lines = false;  ///< the refusal blames at least one undecided member by its line
  std::int64_t undecided = 0;
  Trial trial = Trial::none;
  bool halved = false;         ///< it is what was left of a larger one
  bool lane_works = false;     ///< since the first refusal the provider has accepted some file of the same lane
  bool other_suspect = false;  ///< another shard of the lane waits in the same way, for a lane that works
  Milliseconds waited{0};      ///< since it was refused
  int pauses = 0;              ///< of the lane that its last suspect has brought about in this way
};

enum class RefusedStep {
  wait,           ///< for the trial, or for a sign that the lane works at all
  blame_lines,    ///< settle the requests that the provider named, send the others again
  blame_last,     ///< one request is left, and it is the culprit
  count_attempt,  ///< one request is left, and nothing else tells whether it or the lane is at fault: that was one of its
                  ///< attempts
  try_half,       ///< send half of what is left as a trial
  divide,         ///< send what is left as two files
  release,        ///< send what is left again at no cost
  pause_lane,     ///< the same, and stop the lane until someone acts or time passes
};

RefusedStep next_step(const RefusedShard& shard);

}  // namespace batchd
