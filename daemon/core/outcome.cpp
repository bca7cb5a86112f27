#include "core/outcome.hpp"

namespace batchd {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::succeeded:
      return "succeeded";
    case Outcome::failed:
      return "failed";
    case Outcome::cancelled:
      return "cancelled";
    case Outcome::expired:
      return "expired";
  }
  return "failed";
}

}  // namespace batchd
