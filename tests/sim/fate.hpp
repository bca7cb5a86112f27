// A fate that a test gives to one batch: how it ends, when, with how many answers, which states it skips or hangs in. Without
// one a batch does what its requests and the clock say. Only described here; BatchStore makes it come true.
#pragma once

#include "batch_state.hpp"
#include "execution.hpp"
#include "settings.hpp"

#include <boost/json/value.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace sim {

struct Fate {
  std::optional<BatchState> end;             ///< instead of the natural one
  std::optional<BatchState> after;           ///< the state from which it ends so
  std::optional<double> share;               ///< of the requests that run
  std::optional<Outcome> kind;               ///< of every request that runs, whatever it asked for
  std::optional<Rest> rest;                  ///< what stands for those that do not run
  std::uint32_t lost = 0;                    ///< of those that do not run: so many have no line at all
  bool files = true;                         ///< result files appear
  std::optional<boost::json::value> errors;  ///< the member `errors`, verbatim
  std::array<bool, 8> skip{};                ///< states that are passed unseen, without a time stamp
  std::optional<BatchState> hold;            ///< the state to hang in
  Milliseconds hold_for{};                   ///< 0: until released

  bool ends_after(BatchState state) const { return end && after == state; }
  bool skips(BatchState state) const { return skip[static_cast<std::size_t>(state)]; }
};

/// Reads the JSON form that README.md describes; returns what is wrong with it.
std::optional<std::string> read_fate(const boost::json::value& value, Fate& into);

}  // namespace sim
