// One batch of the fake cloud: the times at which it goes from state to state, all drawn when it is accepted, and how it looks
// at a given time. Pure; the cloud brings it up to date and keeps the books.
#pragma once

#include "core/batch.hpp"
#include "simulation/cloud/files.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchd::simulation {

struct CloudBatch {
  Batch shown;  ///< what does not depend on the time, and once it is over its errors and files
  std::shared_ptr<const Input> input;
  bool foreign = false;

  Milliseconds accepted{0};
  Milliseconds validated = never;  ///< the ends of the states; `over` may come before
  Milliseconds ran = never;
  Milliseconds over = never;
  BatchStatus end = BatchStatus::completed;
  double share = 1;  ///< of the lines that run; all of them when 1
  std::vector<BatchError> errors;
  std::optional<Milliseconds> cancelling;     ///< since when
  std::optional<Milliseconds> others_cancel;  ///< when somebody else will
  Milliseconds vanishes = never;
  bool has_run = false;
  bool is_over = false;

  bool all_alike = false;
  bool no_output = false;
  bool output_unseen = false;
  bool output_taken = false;
  bool no_counts = false;
  bool no_metadata = false;
  bool no_input_id = false;
  bool cancel_ignored = false;
  bool input_needed = false;

  std::string output;  ///< gathered while it runs, handed to the files when it is over
  std::string failures;
  RequestCounts counts;

  BatchStatus status(Milliseconds now) const;
  /// Fails when it has validated, and runs nothing.
  void fail_validation(std::vector<BatchError> why);
  /// As its id is asked for: `older` one state ago.
  Batch show(Milliseconds now, bool older) const;
};

}  // namespace batchd::simulation
