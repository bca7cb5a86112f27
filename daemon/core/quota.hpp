// How much of a deployment's enqueued-token quota may be used: what people configured, what the provider said, and what its
// refusals taught. Values and pure functions; the store keeps them in the deployment's row, so that every replica believes the
// same, and its guarded reservation (P3) follows has_room().
//
// No API tells the room that is left (PROTOCOL.md 11). What is refused although it seemed to fit is explained, in this order, by
// a limit that the provider names; by batches that have ended and still count; by others who use the same deployment.
#pragma once

#include "core/types.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace batchd {

/// What is believed of a deployment's quota. Ages are by the database's clock at the time of reading.
struct Room {
  Tokens limit = 0;                         ///< as configured
  Tokens dynamic_limit = 0;                 ///< as configured: how far above `limit` dynamic quota may be tried; 0: not at all
  Tokens believed = 0;                      ///< what we may hold; the ledger compares with it
  std::optional<Tokens> told{};             ///< the limit that the provider named last
  Milliseconds told_age{0};                 ///< since it did
  Milliseconds settled_for{0};              ///< since any of this last changed
  int strikes = 0;                          ///< refusals outweigh quiet times by so many: probes are the more seldom
  Milliseconds release_lag{0};              ///< for so long the tokens of a batch that has ended still count
  bool lag_blamed = false;                  ///< the last refusal was explained by batches that had just ended
  std::optional<Milliseconds> since_end{};  ///< since a batch of ours ended there
  std::int64_t refusals = 0;                ///< ever

  friend bool operator==(const Room&, const Room&) = default;
};

/// What takes up the room, and what waits for it.
struct RoomUse {
  Tokens reserved = 0;         ///< by live batches, and by POSTs that are announced
  Tokens leaving = 0;          ///< of batches that ended less than the release lag ago
  Tokens largest_waiting = 0;  ///< tokens of the largest file that is uploaded and not submitted

  Tokens taken() const { return reserved + leaving; }
};

/// Tokens that the provider refused for want of room; they are still among `reserved`.
struct RoomRefused {
  Tokens asked = 0;
  std::optional<Tokens> told{};  ///< the limit, when the refusal names it
};
/// What came with a success: hints, never the truth (PROTOCOL.md 4).
struct RoomTold {
  std::optional<Tokens> enqueued{};  ///< at the deployment by everybody, or in this one file: sources disagree
  std::optional<Tokens> maximum{};
};
/// Time has passed without a refusal. Without effect before that was long enough: `probe_after`, doubled for each strike.
struct RoomQuiet {
  Milliseconds probe_after{60'000};
};
using RoomLesson = std::variant<RoomRefused, RoomTold, RoomQuiet>;

/// What was believed, and what is after a lesson.
struct Learnt {
  Room before;
  Room after;

  bool changed() const { return !(before == after); }
};

/// Tokens of a batch that has ended count for at most so long.
inline constexpr Milliseconds longest_release_lag{600'000};
/// A limit that the provider named is not doubted for so long.
inline constexpr Milliseconds told_is_trusted{3'600'000};

/// Nothing will be believed above this: the configured limit, or what the provider named last if that is less, or, where dynamic
/// quota may be tried, that.
Tokens bound_of(const Room& room);
/// Whether a file of so many tokens may be submitted now. One that is larger than the believed room may be tried alone, so that
/// nothing starves on a belief.
bool has_room(const Room& room, const RoomUse& use, Tokens tokens);
/// Whether a file of several requests should be made anew, smaller: it is larger than the limit that the provider names, or far
/// larger than the believed room.
bool is_too_large(const Room& room, std::int64_t requests, Tokens tokens);
/// What is believed after a lesson; `settled_for` is 0 when that is something else than before.
Room learn(const Room& room, const RoomUse& use, const RoomLesson& lesson);
/// Whether RoomQuiet would change anything.
bool wants_quiet(const Room& room, const RoomUse& use, Milliseconds probe_after);

/// "… Limit: 900,000 enqueued tokens …", "… token limit of 30K …": the number of tokens that a refusal names as its limit.
std::optional<Tokens> limit_in_text(std::string_view text);

/// The time from submission to end that is usual, when one more took so long.
Milliseconds usual_turnaround(std::optional<Milliseconds> usual, Milliseconds latest);
/// How long smaller files may pass a larger one that does not fit yet: one turnaround; while none is known, an hour.
Milliseconds longest_passing(std::optional<Milliseconds> usual_turnaround);

}  // namespace batchd
