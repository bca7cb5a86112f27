// The texts that JSON strings stand for, and the strings that texts become.
#include "core/json_scan.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace batchd {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

std::uint32_t hex4(std::string_view text, std::size_t at) {
  std::uint32_t code = 0;
  std::from_chars(text.data() + at, text.data() + at + 4, code, 16);
  return code;
}

/// Decodes the `\u` escape at `at` (a surrogate pair takes two) and returns the place behind it.
std::size_t decode_unicode(std::string_view inner, std::size_t at, std::string& out) {
  const std::uint32_t code = hex4(inner, at + 2);
  at += 6;
  if (code < 0xD800 || code > 0xDFFF) {
    append_utf8(out, code);
    return at;
  }
  if (code < 0xDC00 && at + 6 <= inner.size() && inner[at] == '\\' && inner[at + 1] == 'u') {
    const std::uint32_t low = hex4(inner, at + 2);
    if (low >= 0xDC00 && low <= 0xDFFF) {
      append_utf8(out, 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00));
      return at + 6;
    }
  }
  append_utf8(out, 0xFFFD);
  return at;
}

/// Calls `found(place, code)` for every `\u` escape that stands for U+0000 or is half of a surrogate pair only.
template <class Found>
void for_each_odd_escape(std::string_view json, Found found) {
  static constexpr std::uint32_t none = 0x10000;
  const auto code_at = [json](std::size_t at) {
    if (at + 6 > json.size() || json[at] != '\\' || json[at + 1] != 'u') return none;
    std::uint32_t code = none;
    const char* const digits = json.data() + at + 2;
    return std::from_chars(digits, digits + 4, code, 16).ptr == digits + 4 ? code : none;
  };
  for (std::size_t at = json.find('\\'); at != std::string_view::npos; at = json.find('\\', at)) {
    const std::uint32_t code = code_at(at);
    const std::uint32_t next = code >= 0xD800 && code <= 0xDBFF ? code_at(at + 6) : 0;
    if (next >= 0xDC00 && next <= 0xDFFF) {
      at += 12;
      continue;
    }
    if (code == 0 || (code >= 0xD800 && code <= 0xDFFF)) found(at, code);
    at += code == none ? 2 : 6;
  }
}

std::string decode_inner(std::string_view inner) {
  std::string out;
  out.reserve(inner.size());
  for (std::size_t i = 0; i < inner.size();) {
    if (inner[i] != '\\') {
      const std::size_t end = std::min(inner.find('\\', i), inner.size());
      out += inner.substr(i, end - i);
      i = end;
    } else if (inner[i + 1] == 'u') {
      i = decode_unicode(inner, i, out);
    } else {
      constexpr std::string_view from = "\"\\/bfnrt";
      constexpr std::string_view to = "\"\\/\b\f\n\r\t";
      out += to[from.find(inner[i + 1])];
      i += 2;
    }
  }
  return out;
}

}  // namespace

bool json_key_is(std::string_view raw_key, std::string_view name) {
  if (raw_key.find('\\') == std::string_view::npos) return raw_key == name;
  return decode_inner(raw_key) == name;
}

std::string decode_json_string(std::string_view raw) {
  if (!is_json_string(raw)) return {};
  return decode_inner(raw.substr(1, raw.size() - 2));
}

std::string storable_json(std::string_view json) {
  std::string out(json);
  for_each_odd_escape(json, [&out](std::size_t at, std::uint32_t) { out.replace(at, 6, "\\ufffd"); });
  return out;
}

std::string mended_json(std::string_view json) {
  std::string out(json);
  for_each_odd_escape(json, [&out](std::size_t at, std::uint32_t code) {
    if (code != 0) out.replace(at, 6, "\\ufffd");
  });
  return out;
}

bool has_lone_surrogate(std::string_view json) {
  bool lone = false;
  for_each_odd_escape(json, [&lone](std::size_t, std::uint32_t code) { lone = lone || code != 0; });
  return lone;
}

std::string json_quote(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20) {
      out += "\\u00";
      out += digits[u >> 4];
      out += digits[u & 15];
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

}  // namespace batchd
