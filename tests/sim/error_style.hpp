// The forms in which an error may arrive (PROTOCOL.md 9): how a refusal that is already worded is dressed once more, as older
// and newer services, gateways and proxies do it.
#pragma once

#include "dialect.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sim {

/// "plain" first: the dialect's own.
const std::vector<std::string>& error_styles();

/// Rewrites a reply that carries an error object; leaves every other one alone.
void restyle(Reply& reply, std::string_view style);

/// A proxy's page.
Reply html_page(int status);

}  // namespace sim
