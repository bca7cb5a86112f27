#include "simulation/mutants.hpp"

#include <algorithm>

namespace batchd::simulation {

const std::vector<MutantInfo>& all_mutants() {
  static const std::vector<MutantInfo> all{
      {Mutant::term_check, "term-check", "writes to shards do not ask whether the term still lives"},
      {Mutant::guarded_reservation, "guarded-reservation", "room is reserved without looking whether there is any"},
      {Mutant::plan_gate, "plan-gate", "plans and announces although a provider's list was not compared with the books"},
      {Mutant::beats_check, "beats-check", "does not notice that the database has gone back"},
      {Mutant::ended_terms, "ended-terms", "takes a term of which the database knows nothing for one that has ended"},
      {Mutant::bitmap, "bitmap", "does not store what of a shard is decided with the answers"},
      {Mutant::beats_of_writes, "beats-of-writes",
       "shards are planned and announced in a database that has forgotten what it confirmed"},
      {Mutant::settle_once, "settle-once", "a chunk of answers is applied whatever is decided already"},
      {Mutant::room_while_unknown, "room-while-unknown",
       "the room of a POST whose answer is not known is free after the first look"},
      {Mutant::loss_gate, "loss-gate",
       "work goes on although paid answers are lost and nobody has said that they may be paid for again"},
      {Mutant::doubt, "doubt", "shards that are older than a loss of commits are not marked as doubtful"},
      {Mutant::orphan_gate, "orphan-gate", "a provider's files are judged by books that may have forgotten some"},
      {Mutant::shard_numbers, "shard-numbers", "numbers of shards that a provider's list shows are given out again"},
      {Mutant::roll_up, "roll-up", "what was rolled up into the counters is rolled up again"},
      {Mutant::intent_before_post, "intent-before-post", "POSTs a batch without having announced it"},
      {Mutant::unknown_is_refused, "unknown-is-refused", "takes an unknown answer to a POST for a refusal, and posts again"},
      {Mutant::settle_window, "settle-window", "fences at the first look that does not find the batch"},
      {Mutant::fence, "fence", "begins a new attempt without deleting the input file of the one before"},
      {Mutant::full_walk, "full-walk", "believes a walk through the list that did not reach its end"},
      {Mutant::attempt_of_batch, "attempt-of-batch",
       "takes a batch of an earlier attempt on the same file for the present one's"},
      {Mutant::membership_check, "membership-check", "takes answers to another attempt of a request for the present one's"},
      {Mutant::decided_once, "decided-once", "decides a request again for which a second answer turns up"},
      {Mutant::whole_file, "whole-file", "decides the rest although a result file was not read whole"},
      {Mutant::partial_outputs, "partial-outputs", "passes over what expired and cancelled batches have answered"},
      {Mutant::harvest, "harvest", "does not use what a duplicate has answered"},
      {Mutant::same_request, "same-request",
       "gives a request the answer that another one of its number was given before a loss of commits"},
      {Mutant::own_batches, "own-batches", "takes batches of other instances for its own"},
      {Mutant::own_files, "own-files", "takes files of other instances for its own"},
      {Mutant::files_in_use, "files-in-use", "takes files that shards need for orphans"},
  };
  return all;
}

std::optional<Mutant> parse_mutant(std::string_view name) {
  const auto& all = all_mutants();
  const auto found = std::find_if(all.begin(), all.end(), [name](const MutantInfo& info) { return info.name == name; });
  return found == all.end() ? std::nullopt : std::optional(found->mutant);
}

}  // namespace batchd::simulation
