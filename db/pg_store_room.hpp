// Reading what is believed of a deployment's quota.
#pragma once

#include "core/quota.hpp"

#include <pqxx/pqxx>

namespace batchd {

/// From the columns that `room_to_learn` and `deployment_loads` have in common.
Room to_room(const pqxx::row& row);

}  // namespace batchd
