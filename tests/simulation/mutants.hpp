// Switches of the test build that each remove one guard, to show that the campaign would notice. One at most is chosen, for the
// whole process, before the first schedule.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace batchd::simulation {

/// all_mutants() says what each does without.
enum class Mutant {
  none,
  // in the fakes: what the database or its SQL guarantees
  term_check,
  guarded_reservation,
  plan_gate,
  beats_check,
  ended_terms,
  bitmap,
  beats_of_writes,
  settle_once,
  room_while_unknown,
  loss_gate,
  doubt,
  orphan_gate,
  shard_numbers,
  roll_up,
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
