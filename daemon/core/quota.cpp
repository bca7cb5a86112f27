#include "core/quota.hpp"

#include "core/lowered.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>

namespace batchd {
namespace {

/// Below this nothing useful fits.
constexpr Tokens least_belief = 1000;
/// Strikes make probes this many times as seldom, at most.
constexpr int most_strikes = 4;
/// With more, refusals have been frequent: that is others, not the ends of batches.
constexpr int strikes_of_calm = 2;
constexpr Milliseconds shortest_release_lag{1000};
/// Tokens are estimates (PROTOCOL.md 11: a margin of 2 %): less than this part of the bound tells nothing about others.
constexpr Tokens noise_parts = 50;
constexpr Milliseconds turnaround_of_strangers{3'600'000};

Milliseconds quiet_for(const Room& room, Milliseconds probe_after) {
  return probe_after * (1 << std::clamp(room.strikes, 0, most_strikes));
}

/// How much a probe adds: a quarter of what is missing, and not so little that it takes for ever. What a provider has named is
/// passed with care, as each step too far is a refusal.
Tokens step_of(const Room& room) {
  const Tokens bound = bound_of(room);
  if (room.told && room.dynamic_limit == 0 && room.believed >= *room.told) return std::max<Tokens>(room.believed / 8, 1);
  return std::max<Tokens>({(bound - room.believed) / 4, std::max(room.believed, bound / 32) / 32, 1});
}

/// What is ours as far as anybody has said.
Tokens promised(const Room& room) {
  return room.dynamic_limit > 0 ? room.limit : std::min(room.limit, room.told.value_or(room.limit));
}

bool may_grow(const Room& room, const RoomUse& use) {
  if (room.believed >= bound_of(room)) return false;
  // What nobody promised is tried only when it would be used: otherwise it teaches nothing.
  return room.believed < promised(room) || use.taken() + use.largest_waiting > room.believed;
}

Milliseconds shorter(Milliseconds lag) {
  return lag < shortest_release_lag ? Milliseconds{0} : lag;
}

struct Teach {
  const Room& room;
  const RoomUse& use;

  Room operator()(const RoomRefused& lesson) const {
    Room next = room;
    next.strikes = std::min(room.strikes + 2, most_strikes);
    ++next.refusals;
    if (lesson.told) {
      next.told = lesson.told;
      next.told_age = Milliseconds{0};
      if (use.taken() > *lesson.told) {  // that is all there is to explain
        next.believed = std::min(room.believed, std::max<Tokens>(*lesson.told, 1));
        return next;
      }
    }
    const bool just_ended = room.since_end && *room.since_end < longest_release_lag && *room.since_end >= room.release_lag;
    if (just_ended && !room.lag_blamed && room.strikes <= strikes_of_calm) {
      next.lag_blamed = true;
      next.release_lag = std::clamp(*room.since_end * 2, shortest_release_lag, longest_release_lag);
      return next;
    }
    if (room.lag_blamed) next.release_lag = shorter(room.release_lag / 2);  // waiting for it did not help
    next.lag_blamed = false;
    const Tokens held = std::max<Tokens>(use.taken() - lesson.asked, 0);
    // What was refused alone may be refused for ever: it has to become smaller. Otherwise the largest that waits must fit.
    const Tokens least = held > 0 ? std::max(use.largest_waiting, least_belief) : least_belief;
    const Tokens towards = std::max(held + lesson.asked / 4, room.believed - room.believed / 4);
    next.believed = std::min(room.believed, std::max(towards, least));
    return next;
  }

  Room operator()(const RoomTold& lesson) const {
    Room next = room;
    if (lesson.maximum && *lesson.maximum > 0) {
      const bool at_bound = room.believed >= std::min(room.limit, room.told.value_or(room.limit));
      // The same again is written down now and then only.
      if (room.told != lesson.maximum || room.told_age > told_is_trusted / 4) {
        next.told = lesson.maximum;
        next.told_age = Milliseconds{0};
      }
      if (room.dynamic_limit == 0) {
        next.believed = std::min(room.believed, *lesson.maximum);
        if (at_bound) next.believed = std::min(room.limit, *lesson.maximum);
      }
    }
    const Tokens all = lesson.maximum.value_or(bound_of(room));
    const Tokens others = lesson.enqueued.value_or(0) - use.taken();
    if (others > bound_of(room) / noise_parts) {
      next.believed = std::min(next.believed, std::max({all - others, use.largest_waiting, least_belief}));
    }
    return next;
  }

  Room operator()(const RoomQuiet& lesson) const {
    if (!wants_quiet(room, use, lesson.probe_after)) return room;
    Room next = room;
    next.strikes = std::max(room.strikes - 1, 0);
    next.lag_blamed = false;
    next.release_lag = shorter(room.release_lag * 7 / 8);
    if (may_grow(room, use)) {
      Tokens most = bound_of(room);
      if (room.believed < promised(room)) most = std::min(most, promised(room));
      next.believed = std::min(room.believed + step_of(room), most);
    }
    return next;
  }
};

/// The number at the front of a text, "900,000", "30K", "1.5 million" as 1 (and refused as too little to be a limit).
std::optional<Tokens> number_at(std::string_view text) {
  constexpr Tokens most = std::numeric_limits<Tokens>::max() / 10'000'000'000;
  Tokens number = 0;
  std::size_t at = 0;
  std::size_t digits = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    const bool separates =
        (c == ',' || c == '_') && digits > 0 && at + 1 < text.size() && text[at + 1] >= '0' && text[at + 1] <= '9';
    if (separates) continue;
    if (c < '0' || c > '9') break;
    number = number * 10 + (c - '0');
    ++digits;
    if (number > most) return std::nullopt;
  }
  if (digits == 0) return std::nullopt;
  if (at < text.size()) {
    if (text[at] == 'k') number *= 1'000;
    if (text[at] == 'm') number *= 1'000'000;
    if (text[at] == 'b') number *= 1'000'000'000;
  }
  return number;
}

}  // namespace

Tokens bound_of(const Room& room) {
  if (room.dynamic_limit > room.limit) return room.dynamic_limit;
  if (room.told && room.told_age < told_is_trusted) return std::min(room.limit, std::max<Tokens>(*room.told, 1));
  return room.limit;
}

bool has_room(const Room& room, const RoomUse& use, Tokens tokens) {
  if (use.taken() + tokens <= room.believed) return true;
  return use.taken() == 0 && tokens <= std::max(room.limit, room.dynamic_limit);
}

bool is_too_large(const Room& room, std::int64_t requests, Tokens tokens) {
  if (tokens > std::max(room.limit, room.dynamic_limit)) return true;
  if (requests <= 1) return false;
  return (room.dynamic_limit == 0 && room.told && tokens > *room.told) || tokens / 2 > room.believed;
}

Room learn(const Room& room, const RoomUse& use, const RoomLesson& lesson) {
  Room next = std::visit(Teach{room, use}, lesson);
  // That the provider names the same limit again changes nothing.
  const auto ours = [](const Room& r) { return std::tuple(r.believed, r.strikes, r.release_lag, r.lag_blamed, r.refusals); };
  if (ours(next) != ours(room)) next.settled_for = Milliseconds{0};
  return next;
}

bool wants_quiet(const Room& room, const RoomUse& use, Milliseconds probe_after) {
  if (room.settled_for < quiet_for(room, probe_after)) return false;
  return may_grow(room, use) || room.release_lag > Milliseconds{0} || room.strikes > 0;
}

std::optional<Tokens> limit_in_text(std::string_view text) {
  const std::string low = lowered(text);
  if (low.find("token") == std::string::npos) return std::nullopt;
  constexpr std::string_view word = "limit";
  for (std::size_t at = low.find(word); at != std::string::npos; at = low.find(word, at + 1)) {
    std::string_view rest = std::string_view(low).substr(at + word.size());
    for (const std::string_view filler : {":", " of", " is", " ="}) {
      if (!rest.starts_with(filler)) continue;
      rest.remove_prefix(filler.size());
      rest.remove_prefix(std::min(rest.find_first_not_of(" :"), rest.size()));
      const auto number = number_at(rest);
      if (number && *number >= 100) return number;
      break;
    }
  }
  return std::nullopt;
}

Milliseconds usual_turnaround(std::optional<Milliseconds> usual, Milliseconds latest) {
  if (!usual) return latest;
  return *usual + (latest - *usual) / 8;
}

Milliseconds longest_passing(std::optional<Milliseconds> usual_turnaround) {
  return usual_turnaround.value_or(turnaround_of_strangers);
}

}  // namespace batchd
