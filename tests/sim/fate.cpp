#include "fate.hpp"

#include "outcome.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <stdexcept>
#include <utility>

namespace sim {
namespace {

using boost::json::value;

std::string text_of(const value& member) {
  return member.is_string() ? std::string(member.get_string()) : std::string();
}

bool read_state(const value& member, std::optional<BatchState>& into, bool want_terminal) {
  into = batch_state_named(text_of(member));
  return into && terminal(*into) == want_terminal;
}

bool read_share(const value& member, Fate& into) {
  if (!member.is_number()) return false;
  into.share = member.to_number<double>();
  return *into.share >= 0 && *into.share <= 1;
}

bool read_rest(const value& member, Fate& into) {
  constexpr std::pair<std::string_view, Rest> names[] = {
      {"absent", Rest::absent}, {"expired", Rest::expired}, {"cancelled", Rest::cancelled}};
  for (const auto& [name, rest] : names) {
    if (name == text_of(member)) into.rest = rest;
  }
  return into.rest.has_value();
}

bool read_lost(const value& member, Fate& into) {
  if (!member.is_int64() || member.get_int64() < 0) return false;
  into.lost = static_cast<std::uint32_t>(member.get_int64());
  return true;
}

bool read_skip(const value& member, Fate& into) {
  if (!member.is_array()) return false;
  for (const auto& name : member.get_array()) {
    const auto state = batch_state_named(text_of(name));
    if (!state || terminal(*state)) return false;
    into.skip[static_cast<std::size_t>(*state)] = true;
  }
  return true;
}

bool read_duration(const value& member, Milliseconds& into) {
  try {
    into = parse_duration(text_of(member));
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

bool read_member(std::string_view key, const value& member, Fate& into) {
  if (key == "end") return read_state(member, into.end, true);
  if (key == "after") return read_state(member, into.after, false);
  if (key == "share") return read_share(member, into);
  if (key == "kind") return (into.kind = outcome_named(text_of(member))).has_value();
  if (key == "rest") return read_rest(member, into);
  if (key == "lost") return read_lost(member, into);
  if (key == "files") return member.is_bool() && (into.files = member.get_bool(), true);
  if (key == "errors") return into.errors = member, true;
  if (key == "skip") return read_skip(member, into);
  if (key == "hold") return read_state(member, into.hold, false);
  return key == "for" && read_duration(member, into.hold_for);
}

/// Where a batch with this end leaves the natural way, unless told: as early as the end makes sense.
BatchState natural_place(const Fate& fate) {
  const bool runs = fate.share || fate.kind;
  if (*fate.end == BatchState::failed && !runs) return BatchState::validating;
  if (*fate.end == BatchState::failed || *fate.end == BatchState::completed) return BatchState::finalizing;
  return BatchState::in_progress;
}

}  // namespace

std::optional<std::string> read_fate(const value& from, Fate& into) {
  if (!from.is_object()) return "a fate is a JSON object";
  for (const auto& [key, member] : from.get_object()) {
    if (!read_member(key, member, into)) return "fate: unknown or unusable member '" + std::string(key) + "'";
  }
  if (into.after && !into.end) return "fate: 'after' needs 'end'";
  if (into.end && !into.after) into.after = natural_place(into);
  return std::nullopt;
}

}  // namespace sim
