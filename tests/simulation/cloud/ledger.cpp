#include "simulation/cloud/ledger.hpp"

#include <algorithm>

namespace batchd::simulation {

std::string_view to_string(Trespass trespass) {
  switch (trespass) {
    case Trespass::foreign_deleted:
      return "foreign_deleted";
    case Trespass::foreign_cancelled:
      return "foreign_cancelled";
    case Trespass::foreign_downloaded:
      return "foreign_downloaded";
    case Trespass::foreign_used:
      return "foreign_used";
    case Trespass::bad_file:
      break;
  }
  return "bad_file";
}

std::int64_t Ledger::billed() const {
  return std::count_if(runs.begin(), runs.end(), [](const LineRun& run) { return run.billed; });
}

}  // namespace batchd::simulation
