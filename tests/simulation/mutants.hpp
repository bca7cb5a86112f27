// Switches of the test build that each remove one guard, to show that the campaign would notice. One at most is chosen, for the
// whole process, before the first schedule.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace batchd::simulation {

enum class Mutant {
  none,
  // in the fakes: what the database or its SQL guarantees
  term_check,           ///< writes to shards do not ask whether the term still lives
  guarded_reservation,  ///< room is reserved without looking whether there is any
  plan_gate,            ///< shards are planned and announced although the provider is unmatched
  beats_check,          ///< a heartbeat does not notice that the database has gone back
  ended_terms,          ///< a term of which the database knows nothing is taken for one that has ended
  bitmap,               ///< what of a shard is decided is not stored with the answers
  beats_of_writes,      ///< shards are planned and announced in a database that has forgotten what it confirmed
  settle_once,          ///< a chunk of answers is applied whatever is decided already
  room_while_unknown,   ///< the room of a POST whose answer is not known is free after the first look
  loss_gate,            ///< work goes on although paid answers are lost and nobody has said that they may be paid for again
  doubt,                ///< shards that are older than a loss of commits are not marked as doubtful
  orphan_gate,          ///< a provider's files are judged by books that may have forgotten some
  shard_numbers,        ///< numbers of shards that a provider's list shows are given out again
  roll_up,              ///< what was rolled up into the counters is rolled up again
  // in the product, switched off in copies of its sources (mutants/mutate.py)
  intent_before_post,
  unknown_is_refused,
  settle_window,
  fence,
  full_walk,
  attempt_of_batch,
  membership_check,
  decided_once,
  whole_file,
  partial_outputs,
  harvest,
  same_request,
  own_batches,
  own_files,
  files_in_use,
  trust_of_lease,
};

struct MutantInfo {
  Mutant mutant;
  std::string_view name;
  std::string_view guard;  ///< what it does without
};

/// All but `none`.
const std::vector<MutantInfo>& all_mutants();
/// The names are those of the enumerators, with dashes.
std::optional<Mutant> parse_mutant(std::string_view name);

inline Mutant chosen_mutant = Mutant::none;
/// True when this run does without that guard.
inline bool without(Mutant mutant) {
  return chosen_mutant == mutant;
}

}  // namespace batchd::simulation
