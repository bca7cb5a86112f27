// The control plane's hold on single batches and files: what somebody else does to them in the portal, and states scripted at
// once.
#pragma once

#include "world.hpp"

#include <boost/json/value.hpp>

#include <string>

namespace sim {

/// POST /sim/batches/{id}/{verb}: cancel, end, state, vanish. `what` is the path after /sim/batches/.
Reply control_batch(World& world, const std::string& what, const boost::json::value& wish);

/// POST /sim/files/{id}/{verb}: state, expire.
Reply control_file(World& world, const std::string& what, const boost::json::value& wish);

/// An answer of the control plane that says what was wrong with the question.
Reply complaint(int status, const std::string& message);

}  // namespace sim
