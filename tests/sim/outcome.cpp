#include "outcome.hpp"

#include <algorithm>
#include <array>

namespace sim {
namespace {

/// Everything that is to be known of a kind.
struct Facts {
  Outcome outcome;
  std::string_view name;
  int status;      ///< as the ledger shows it, 0: not answered
  bool completes;  ///< counted as `completed` in request_counts
};

constexpr std::array facts = {
    Facts{Outcome::answered, "ok", 200, true},
    // failures in the error file
    Facts{Outcome::status_400, "400", 400, false},
    Facts{Outcome::status_401, "401", 401, false},
    Facts{Outcome::status_403, "403", 403, false},
    Facts{Outcome::status_404, "404", 404, false},
    Facts{Outcome::status_408, "408", 408, false},
    Facts{Outcome::status_409, "409", 409, false},
    Facts{Outcome::status_422, "422", 422, false},
    Facts{Outcome::status_429, "429", 429, false},
    Facts{Outcome::status_500, "500", 500, false},
    Facts{Outcome::status_503, "503", 503, false},
    Facts{Outcome::too_long, "too_long", 400, false},
    Facts{Outcome::no_credit, "no_credit", 429, false},
    // not answered
    Facts{Outcome::expired, "expired", 0, false},
    Facts{Outcome::timeout, "timeout", 0, false},
    Facts{Outcome::cancelled, "cancelled", 0, false},
    Facts{Outcome::missing, "missing", 0, true},
    Facts{Outcome::status_0, "status0", 0, true},
    Facts{Outcome::status_0_null, "status0_null", 0, true},
    Facts{Outcome::neither, "neither", 0, true},
    // in the output file, and odd
    Facts{Outcome::error_in_output, "error_in_output", 400, true},
    Facts{Outcome::duplicate, "duplicate", 200, true},
    Facts{Outcome::both, "both", 200, true},
    Facts{Outcome::corrupt, "corrupt", 200, true},
    Facts{Outcome::unknown, "unknown", 200, true},
    Facts{Outcome::empty_200, "empty200", 200, true},
    Facts{Outcome::empty_body, "empty_body", 200, true},
    Facts{Outcome::error_200, "error200", 200, true},
    Facts{Outcome::huge, "huge", 200, true},
    Facts{Outcome::filtered, "filtered", 200, true},
    Facts{Outcome::bad_utf8, "bad_utf8", 200, true},
    Facts{Outcome::bad_utf8_answer, "bad_utf8_answer", 200, true},
    Facts{Outcome::blank_lines, "blank_lines", 200, true},
    Facts{Outcome::crlf, "crlf", 200, true},
    Facts{Outcome::no_newline, "no_newline", 200, true},
    Facts{Outcome::same_id, "same_id", 200, true},
    Facts{Outcome::no_id, "no_id", 200, true},
    Facts{Outcome::surrogate, "surrogate", 200, true},
    Facts{Outcome::nul, "nul", 200, true},
    Facts{Outcome::deep, "deep", 200, true},
    Facts{Outcome::not_object, "not_object", 200, true},
    Facts{Outcome::float_time, "float_time", 200, true},
    // for once
    Facts{Outcome::once_429, "once-429", 200, true},
    Facts{Outcome::once_missing, "once-missing", 200, true},
    Facts{Outcome::once_no_credit, "once-no_credit", 200, true},
};

const Facts& facts_of(Outcome outcome) {
  return *std::find_if(facts.begin(), facts.end(), [&](const Facts& one) { return one.outcome == outcome; });
}

}  // namespace

std::vector<std::string> outcome_names() {
  std::vector<std::string> out;
  for (const auto& one : facts) out.emplace_back(one.name);
  return out;
}

std::optional<Outcome> outcome_named(std::string_view kind) {
  const auto found = std::find_if(facts.begin(), facts.end(), [&](const Facts& one) { return one.name == kind; });
  return found == facts.end() ? std::nullopt : std::optional(found->outcome);
}

std::string_view name_of(Outcome outcome) {
  return facts_of(outcome).name;
}

bool only_once(Outcome outcome) {
  return outcome == Outcome::once_429 || outcome == Outcome::once_missing || outcome == Outcome::once_no_credit;
}

Outcome strike_of(Outcome once) {
  if (once == Outcome::once_no_credit) return Outcome::no_credit;
  return once == Outcome::once_429 ? Outcome::status_429 : Outcome::missing;
}

bool counts_as_completed(Outcome outcome) {
  return facts_of(outcome).completes;
}

int status_of(Outcome outcome) {
  return facts_of(outcome).status;
}

}  // namespace sim
