// What several targets ask of a text that is shown, logged or stored.
#pragma once

#include "reference_json.hpp"

#include <algorithm>
#include <string_view>

namespace batchd::fuzz {

/// PostgreSQL can hold it in a text.
inline bool storable(std::string_view text) {
  return reference_utf8(text) && text.find('\0') == std::string_view::npos;
}

/// It stays on its line, and a terminal shows it without obeying it.
inline bool shown_on_one_line(std::string_view text) {
  return reference_utf8(text) &&
         std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

}  // namespace batchd::fuzz
