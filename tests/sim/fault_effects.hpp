// What each fault does to a call: an answer in place of the effect, or a spoilt answer after it.
#pragma once

#include "dialect.hpp"
#include "faults.hpp"

#include <optional>

namespace sim {

/// The answer of a fault that keeps the call from having any effect; nothing for the others.
std::optional<Reply> reply_instead(const Fault& fault, const Call& call);

/// Spoils the answer to a call that had its effect.
void spoil(Reply& reply, const Fault& fault, const Call& call);

}  // namespace sim
