// Makes texts that came over the network fit to be logged, stored and shown. Pure.
#pragma once

#include <string>
#include <string_view>

namespace batchd {

/// `text` as PostgreSQL can hold it: UTF-8 without NUL. In a text of any other encoding only what is ASCII survives.
std::string storable_text(std::string text);

/// `text` on one line of at most 500 bytes, storable, with `secret` (unless "") and anything that looks like a key
/// blotted out.
std::string printable_message(std::string_view text, std::string_view secret);

}  // namespace batchd
