// What a refused batch says about its requests (P5): a shard's recorded error, and whatever else may stand there, is read without
// an exception; only lines that the provider named are blamed, each with a code and a message; where the batch and what was
// recorded of it are both read, they speak of the same fault. Input: a batch object; and, read as it is, a recorded error.
#include "core/refusal.hpp"
#include "core/json_scan.hpp"
#include "harness.hpp"
#include "provider/wire.hpp"

#include <set>

namespace batchd::fuzz {
namespace {

void check_blamed(std::string_view recorded) {
  const auto blamed = blamed_lines(recorded);
  for (const auto& [line, error] : blamed) {
    holds(line >= 1, "a line is counted from 1");
    holds(find_member(error, "code") && find_member(error, "message") && valid_json(error),
          "a row's error has a code and a message");
  }
  if (!blamed.empty()) holds(fault_of(recorded) == Fault::rows, "who names rows blames them");
}

Shard submitted() {
  Shard shard;
  shard.state = ShardState::submitted;
  shard.batch = BatchId{"batch_1"};
  return shard;
}

void check_batch(Batch batch) {
  batch.status = BatchStatus::failed;
  batch.output_file_id.reset();
  batch.error_file_id.reset();
  const Shard refused = apply(submitted(), Ended{batch});
  holds(refused.state == ShardState::finished && refused.finish_reason == FinishReason::refused, "it was refused as a whole");
  holds(refused.error.empty() == batch.errors.empty(), "with what it said");
  holds(refused.error.empty() || valid_json(refused.error), "as JSON");
  std::set<std::int64_t> named;
  for (const BatchError& error : batch.errors) {
    if (error.line) named.insert(*error.line);
  }
  check_blamed(refused.error);
  const auto blamed = blamed_lines(refused.error);
  for (const auto& [line, error] : blamed) holds(named.contains(line), "nobody is blamed whom the provider did not name");
  if (!blamed.empty() && fault_of(batch) != Fault::rows) holds(named.size() > 0, "rows are blamed by name only");
}

}  // namespace

void check(std::string_view input) {
  check_blamed(input);
  (void)fault_of(input);
  if (auto batch = parse_batch(input)) check_batch(std::move(*batch));
}

}  // namespace batchd::fuzz
