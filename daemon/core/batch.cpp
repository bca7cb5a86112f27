#include "core/batch.hpp"

#include "core/lowered.hpp"

#include <array>
#include <utility>

namespace batchd {
namespace {

constexpr std::array<std::pair<std::string_view, BatchStatus>, 10> status_words{{
    {"validating", BatchStatus::validating},
    {"inprogress", BatchStatus::in_progress},
    {"finalizing", BatchStatus::finalizing},
    {"completed", BatchStatus::completed},
    {"failed", BatchStatus::failed},
    {"expired", BatchStatus::expired},
    {"cancelling", BatchStatus::cancelling},
    {"canceling", BatchStatus::cancelling},
    {"cancelled", BatchStatus::cancelled},
    {"canceled", BatchStatus::cancelled},
}};

}  // namespace

bool is_terminal(BatchStatus status) {
  return status == BatchStatus::completed || status == BatchStatus::failed || status == BatchStatus::expired ||
         status == BatchStatus::cancelled;
}

BatchStatus parse_batch_status(std::string_view text) {
  std::string word;
  for (const char c : text) {
    if (c == '_' || c == ' ' || c == '-') continue;
    word += lowered(c);
  }
  for (const auto& [name, status] : status_words) {
    if (word == name) return status;
  }
  return BatchStatus::unknown;
}

std::string_view to_string(BatchStatus status) {
  switch (status) {
    case BatchStatus::validating:
      return "validating";
    case BatchStatus::in_progress:
      return "in_progress";
    case BatchStatus::finalizing:
      return "finalizing";
    case BatchStatus::completed:
      return "completed";
    case BatchStatus::failed:
      return "failed";
    case BatchStatus::expired:
      return "expired";
    case BatchStatus::cancelling:
      return "cancelling";
    case BatchStatus::cancelled:
      return "cancelled";
    case BatchStatus::unknown:
      break;
  }
  return "unknown";
}

bool BatchFilter::passes(const Batch& batch) const {
  if (status && batch.status != *status) return false;
  return !since || !batch.created_at || *batch.created_at >= *since;
}

}  // namespace batchd
