#include "outcome.hpp"

#include <array>
#include <utility>

namespace sim {
namespace {

constexpr std::array<std::pair<std::string_view, Outcome>, 20> names = {{
    {"ok", Outcome::answered},       {"400", Outcome::status_400},
    {"401", Outcome::status_401},    {"404", Outcome::status_404},
    {"429", Outcome::status_429},    {"500", Outcome::status_500},
    {"expired", Outcome::expired},   {"timeout", Outcome::timeout},
    {"missing", Outcome::missing},   {"duplicate", Outcome::duplicate},
    {"both", Outcome::both},         {"corrupt", Outcome::corrupt},
    {"unknown", Outcome::unknown},   {"empty200", Outcome::empty_200},
    {"status0", Outcome::status_0},  {"error_in_output", Outcome::error_in_output},
    {"once-429", Outcome::once_429}, {"once-missing", Outcome::once_missing},
    {"huge", Outcome::huge},         {"cancelled", Outcome::cancelled},
}};

}  // namespace

std::optional<Outcome> outcome_named(std::string_view kind) {
  for (const auto& [name, outcome] : names) {
    if (name == kind) return outcome;
  }
  return std::nullopt;
}

std::string_view name_of(Outcome outcome) {
  for (const auto& [name, candidate] : names) {
    if (candidate == outcome) return name;
  }
  return "?";
}

bool only_once(Outcome outcome) {
  return outcome == Outcome::once_429 || outcome == Outcome::once_missing;
}

Outcome strike_of(Outcome once) {
  return once == Outcome::once_429 ? Outcome::status_429 : Outcome::missing;
}

bool counts_as_completed(Outcome outcome) {
  switch (outcome) {
    case Outcome::status_400:
    case Outcome::status_401:
    case Outcome::status_404:
    case Outcome::status_429:
    case Outcome::status_500:
    case Outcome::expired:
    case Outcome::timeout:
    case Outcome::cancelled:
      return false;
    default:
      return true;
  }
}

int status_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::status_400:
    case Outcome::error_in_output:
      return 400;
    case Outcome::status_401:
      return 401;
    case Outcome::status_404:
      return 404;
    case Outcome::status_429:
      return 429;
    case Outcome::status_500:
      return 500;
    case Outcome::expired:
    case Outcome::timeout:
    case Outcome::missing:
    case Outcome::status_0:
    case Outcome::cancelled:
      return 0;
    default:
      return 200;
  }
}

}  // namespace sim
