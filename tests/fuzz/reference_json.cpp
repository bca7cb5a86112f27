#include "reference_json.hpp"

#include "core/json_scan.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <cstdint>

namespace batchd::fuzz {
namespace {

namespace json = boost::json;

// Two brackets may be one level in the eyes of one and two in those of the other; far below the limit they agree.
constexpr std::ptrdiff_t comparable_brackets = max_json_depth - 12;

bool is_surrogate(std::string_view hex) {
  const auto in = [](char c, std::string_view set) { return set.find(c) != std::string_view::npos; };
  constexpr std::string_view any = "0123456789abcdefABCDEF";
  return in(hex[0], "dD") && in(hex[1], "89abcdefABCDEF") && in(hex[2], any) && in(hex[3], any);
}

/// Bytes of the sequence that begins with `lead`, and the least code point that needs so many; 0 for no lead.
std::size_t length_of(unsigned char lead, std::uint32_t& bits, std::uint32_t& least) {
  if (lead < 0x80) return bits = lead, least = 0, 1;
  if (lead >> 5 == 0b110) return bits = lead & 0x1FU, least = 0x80, 2;
  if (lead >> 4 == 0b1110) return bits = lead & 0x0FU, least = 0x800, 3;
  if (lead >> 3 == 0b11110) return bits = lead & 0x07U, least = 0x10000, 4;
  return 0;
}

}  // namespace

std::string without_surrogates(std::string_view text) {
  std::string out(text);
  for (std::size_t at = 0; at + 1 < out.size(); ++at) {
    if (out[at] != '\\') continue;
    if (out[at + 1] == 'u' && at + 6 <= out.size() && is_surrogate(std::string_view(out).substr(at + 2, 4))) {
      out.replace(at + 2, 4, "0041");
    }
    ++at;  // what is escaped begins no escape
  }
  return out;
}

Reference read_reference(std::string_view text) {
  Reference out;
  const auto brackets = std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{'; });
  if (brackets > comparable_brackets) {
    out.comparable = false;
    return out;
  }
  json::parse_options options;
  options.max_depth = max_json_depth;
  options.allow_invalid_utf8 = true;
  boost::system::error_code error;
  json::value value = json::parse(without_surrogates(text), error, {}, options);
  // 0e309 is read as no number at all, which is not even equal to itself.
  out.comparable = error ? error != json::error::exponent_overflow : value == value;
  if (!error) out.value = std::move(value);
  return out;
}

bool reference_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code = 0;
    std::uint32_t least = 0;
    const std::size_t length = length_of(static_cast<unsigned char>(text[at]), code, least);
    if (length == 0 || at + length > text.size()) return false;
    for (std::size_t i = at + 1; i < at + length; ++i) {
      const auto next = static_cast<unsigned char>(text[i]);
      if (next >> 6 != 0b10) return false;
      code = code << 6 | (next & 0x3FU);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    at += length;
  }
  return true;
}

std::size_t count_members(std::string_view object) {
  JsonObjectReader reader(object);
  std::size_t count = 0;
  for (JsonMember member; reader.next(member);) ++count;
  return count;
}

}  // namespace batchd::fuzz
