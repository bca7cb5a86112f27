// What the HTTP client and the HTTP server have in common: header lists. Nothing here does I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace batchd {

/// In the order they are sent; names are compared without regard to case.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// The value of the first header of that name.
std::optional<std::string_view> find_header(const HttpHeaders& headers, std::string_view name);

}  // namespace batchd
