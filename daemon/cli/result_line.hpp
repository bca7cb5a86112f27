// A settled request as a line of a batch output file. Pure.
#pragma once

#include "db/reading.hpp"

#include <string>

namespace batchd {

/// Appends `{"id":…,"custom_id":…,"response":{"status_code":…,"request_id":…,"body":…},"error":…}` and a newline. The answer's
/// body is the stored text, byte for byte; `response` is null where there was none.
void append_result_line(std::string& out, const ResultRow& row);

}  // namespace batchd
