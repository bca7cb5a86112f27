// One line of a submitted file as a request, or what is wrong with it. Pure.
#pragma once

#include "db/enqueue.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace batchd {

/// What a line that does not say it itself gets; "" for none.
struct SubmitDefaults {
  std::string model;
  std::string endpoint;
};

/// Fills `request` from a batch line `{"custom_id","method","url","body"}` or a bare body; its body is the text as it stands
/// in the line, byte for byte. Returns what is wrong, as a sentence without the line's contents, when it is neither.
std::optional<std::string> read_submit_line(std::string_view line, const SubmitDefaults& defaults, NewRequest& request);

}  // namespace batchd
