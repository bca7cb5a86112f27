// What a change of a shard means for the money that was set aside for it. Both stores go by this: it is decided once.
#pragma once

#include "core/shard.hpp"

namespace batchd {

enum class MoneyStep {
  none,
  note,     ///< its file is written: what it may cost is known
  reserve,  ///< its POST is announced: only when every cap has room
  found,    ///< its batch exists already: whether there is room or not
  release,  ///< nothing ran and nothing will: all of it goes back
  settle,   ///< every answer is stored: what they have cost takes the place of what was reserved
};

MoneyStep money_step(const Shard& before, const Shard& after);

}  // namespace batchd
