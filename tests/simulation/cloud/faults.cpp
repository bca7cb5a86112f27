#include "simulation/cloud/faults.hpp"

namespace batchd::simulation {
namespace {

constexpr std::array<std::string_view, cloud_faults> names{
    "no_effect",         "no_answer",      "throttled",        "account_outage",   "file_unseen",    "file_slow",
    "file_stuck",        "file_bad",       "input_taken",      "quota_refused",    "listed_late",    "quota_failed",
    "validation_failed", "account_failed", "stuck_validating", "stuck_finalizing", "expires",        "cancelled_by_others",
    "fails_late",        "all_alike",      "vanishes",         "no_output",        "output_unseen",  "output_taken",
    "no_counts",         "no_metadata",    "no_input_id",      "cancel_ignored",   "input_needed",   "older_state",
    "unknown_state",     "denied",         "page_repeats",     "page_stuck",       "page_empty",     "page_hollow",
    "page_inserts",      "download_cut",   "download_short",   "download_denied",  "line_throttled", "line_failed",
    "line_refused",      "line_timeout",   "line_unpaid",      "line_missing",     "line_twice",     "line_in_both",
    "line_garbled",      "line_dirt",      "line_foreign",     "line_empty"};

}  // namespace

std::string_view to_string(CloudFault fault) {
  return names[static_cast<std::size_t>(fault)];
}

}  // namespace batchd::simulation
