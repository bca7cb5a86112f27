// Batches and files of other users of the same resource. They stand in every list and count against the file ceiling;
// whoever cancels, downloads, deletes or uses one has broken a rule, and the ledger says so.
#pragma once

#include "world.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace sim {

struct ForeignWish {
  std::string resource = "azure";
  std::uint32_t batches = 0;
  std::uint32_t files = 0;  ///< beside those of the batches
  BatchState status = BatchState::in_progress;
  std::string model = "theirs";
  std::uint64_t tokens = 0;  ///< that each batch holds of its model's quota while it is not over
  boost::json::value metadata = boost::json::object{{"owner", "somebody else"}};
};

struct ForeignMade {
  std::vector<std::string> batches;
  std::vector<std::string> files;
};

/// Reads the form that POST /sim/foreign takes; returns what is wrong with it.
std::optional<std::string> read_foreign(const boost::json::value& value, ForeignWish& into);

ForeignMade make_foreign(World& world, const ForeignWish& wish);

/// Enters a violation when the client has laid hands on what is not its own.
void note_touch(World& world, const Call& call, bool foreign);

}  // namespace sim
