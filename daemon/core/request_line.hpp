// From a request's body to one line of an input file.
// The body is sent byte for byte, except that line breaks between tokens become blanks (JSONL is one value a line) and
// the top-level `model` is replaced by what the provider calls the model: spliced, never re-serialised.
#pragma once

#include "core/remote_names.hpp"
#include "core/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace batchd {

/// Why a request can never be sent.
struct Rejection {
  std::string code;     ///< invalid_body | streaming_not_supported | request_too_large
  std::string message;  ///< what was found and what was expected; never the body itself
};

struct LineTarget {
  std::string url;      ///< as the provider's dialect spells the endpoint
  std::string model;    ///< what `body.model` becomes
  Bytes max_bytes = 0;  ///< a line must be no longer, its newline included
};

/// How many texts the body of an embedding request has: its `input` is a text, a list of texts, a text as a list of token
/// numbers, or a list of such lists. 1 for what cannot be told.
std::int64_t embedding_inputs(std::string_view body);

/// What a line adds to its body at most, for planning before a body was read.
Bytes line_overhead(const LineTarget& target);

/// Appends the line with its newline to `out`; or leaves `out` alone and says why the request can never be sent.
std::optional<Rejection> append_request_line(std::string& out, const CustomId& id, const LineTarget& target,
                                             std::string_view body);

}  // namespace batchd
