// Cutting text: what is cut goes into JSON and into PostgreSQL, which refuse half a character. It never judges whether a text is
// UTF-8 at all: core/json_scan.hpp has that.
#pragma once

#include <cstddef>
#include <string>

namespace batchd {

/// Leaves at most so many bytes: whole characters only.
inline void truncate_utf8(std::string& text, std::size_t longest) {
  if (text.size() <= longest) return;
  while (longest > 0 && (static_cast<unsigned char>(text[longest]) & 0xC0) == 0x80) --longest;
  text.resize(longest);
}

}  // namespace batchd
