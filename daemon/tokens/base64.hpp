// Base64 as it stands in files of tokens and in data URLs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace batchd {

/// Appends what `text` stands for, up to its first character that is not of the alphabet (its padding, say) or until `at_most`
/// bytes are there. Returns how many were appended.
std::size_t decode_base64(std::string_view text, std::string& out, std::size_t at_most = SIZE_MAX);

}  // namespace batchd
