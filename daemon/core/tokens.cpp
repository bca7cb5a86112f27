#include "core/tokens.hpp"

#include <algorithm>
#include <array>

namespace batchd {
namespace {

enum Kind : unsigned char { blank, lower, upper, digit, sign, lead_short, lead_long, trail };

constexpr std::array<Kind, 256> make_kinds() {
  std::array<Kind, 256> kinds{};
  for (int c = 0; c < 256; ++c) {
    Kind kind = sign;
    if (c <= ' ') kind = blank;
    if (c >= 'a' && c <= 'z') kind = lower;
    if (c >= 'A' && c <= 'Z') kind = upper;
    if (c >= '0' && c <= '9') kind = digit;
    if (c >= 0x80) kind = trail;
    if (c >= 0xC0) kind = lead_short;
    if (c >= 0xF0) kind = lead_long;
    kinds[static_cast<std::size_t>(c)] = kind;
  }
  return kinds;
}

constexpr auto kinds = make_kinds();

}  // namespace

Tokens estimate_tokens(std::string_view text) {
  Tokens tokens = 0;
  Kind before = sign;
  int run = 0;  // letters or digits of the present piece
  for (const char c : text) {
    const Kind kind = kinds[static_cast<unsigned char>(c)];
    switch (kind) {
      case lower:
      case upper: {
        // "camelCase" and base64 break where a capital follows a small letter.
        const bool same = before == kind || (before == upper && kind == lower);
        run = same ? run + 1 : 0;
        tokens += run % 4 == 0;
        break;
      }
      case digit:
        run = before == digit ? run + 1 : 0;
        tokens += run % 3 == 0;
        break;
      case blank:
        tokens += before == blank;
        break;
      case sign:
      case lead_short:
        tokens += 1;
        break;
      case lead_long:
        tokens += 2;
        break;
      case trail:
        break;
    }
    before = kind;
  }
  return std::max<Tokens>(tokens, (static_cast<Tokens>(text.size()) + 3) / 4);
}

}  // namespace batchd
