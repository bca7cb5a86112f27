// Everything that can go wrong at a provider and be seen through its port (PROTOCOL.md 19), each with a name and a chance.
// All chances zero is an honest provider. The chance is asked once for each call, upload, batch or line, as the group says.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace batchd::simulation {

enum class CloudFault : unsigned char {
  // each call
  no_effect,       ///< 5xx or a proxy's page before anything was done: unknown, nothing happened
  no_answer,       ///< done, and the answer was a 5xx, 408, cut, or a 2xx that cannot be read: unknown, it happened
  throttled,       ///< 429, with or without a time to wait
  account_outage,  ///< from now on, for a time: 401, 403, or on create an unknown deployment or no credit
  // each upload
  file_unseen,  ///< cannot be seen by anybody for a while
  file_slow,    ///< stays pending for long (only where files are processed)
  file_stuck,   ///< is never processed
  file_bad,     ///< ends as `error` or `deleted`
  input_taken,  ///< somebody else deletes it
  // each creation of a batch
  quota_refused,        ///< token_limit_exceeded although there is room
  listed_late,          ///< it shows up in the list only after `late_listing`, longer than anybody looks for it
  quota_failed,         ///< accepted, and failed while validating with token_limit_exceeded, room or not
  validation_failed,    ///< failed while validating for no reason of the file's
  account_failed,       ///< failed while validating because the deployment or the credit is gone
  stuck_validating,     ///< validates for `stuck`
  stuck_finalizing,     ///< finalizes for `stuck`
  expires,              ///< ends `expired` with a share of the answers
  cancelled_by_others,  ///< somebody else cancels it on the way
  fails_late,           ///< ends `failed` with a share of the answers and result files
  all_alike,            ///< every line ends with the same 401
  vanishes,             ///< at some time it is denied and unlisted for good
  no_output,            ///< ends without the id of the output file that it should have
  output_unseen,        ///< its result files cannot be seen for a while
  output_taken,         ///< somebody else deletes its output file at some time after the end
  no_counts,            ///< its counts are never shown
  no_metadata,          ///< its metadata are never shown
  no_input_id,          ///< its input file is never shown; never together with no_metadata
  cancel_ignored,       ///< a cancellation leads to `completed`
  input_needed,         ///< when its input is deleted while it validates, it fails
  // each batch that is shown
  older_state,    ///< as it was one state ago
  unknown_state,  ///< with a word for its state that nobody knows
  denied,         ///< 404 this time, when it (or a file) is asked for by its id
  // each page of a list
  page_repeats,  ///< begins with the last entries of the page before
  page_stuck,    ///< its cursor does not advance
  page_empty,    ///< has no entries although more are to come, and leads nowhere
  page_hollow,   ///< has no entries, and a cursor that leads to them
  page_inserts,  ///< batches or files of others were made just before it was read
  // each download
  download_cut,     ///< ends short of its length: unknown, after a part of the bytes
  download_short,   ///< ends inside its last line, under an honest length
  download_denied,  ///< 404 this time
  // each line that ran
  line_throttled,  ///< 429
  line_failed,     ///< 500 or 503
  line_refused,    ///< 400, for good
  line_timeout,    ///< `request_timeout`, without a response
  line_unpaid,     ///< 429 with the code insufficient_quota
  line_missing,    ///< in neither file
  line_twice,      ///< its answer stands twice
  line_in_both,    ///< its answer in the output file and a failure in the error file
  line_garbled,    ///< cut or no JSON: paid for, and not to be read
  line_dirt,       ///< beside its answer a line that is no answer: blank, no JSON, no object
  line_foreign,    ///< beside its answer one for somebody else: another request's, another attempt's, another naming
  line_empty,      ///< status 200 without a body, or status 0
};

inline constexpr std::size_t cloud_faults = static_cast<std::size_t>(CloudFault::line_empty) + 1;

/// The enumerator's own name.
std::string_view to_string(CloudFault fault);

/// The chance of each, from 0 to 1.
class CloudFaults {
 public:
  double& operator[](CloudFault fault) { return chance_[static_cast<std::size_t>(fault)]; }
  double operator[](CloudFault fault) const { return chance_[static_cast<std::size_t>(fault)]; }

 private:
  std::array<double, cloud_faults> chance_{};
};

}  // namespace batchd::simulation
