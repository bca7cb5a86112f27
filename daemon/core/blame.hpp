// Which lines of a refused file the provider blames, and with what words (PROTOCOL.md 10).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace batchd {

/// From a shard's recorded error: 1-based line number -> `{"code":…,"message":…}` for the row. Codes that mean a mistake
/// of ours or of the configuration (duplicate_custom_id, url_mismatch, model_mismatch, …) blame no row.
std::map<std::int64_t, std::string> blamed_lines(std::string_view shard_error);

}  // namespace batchd
