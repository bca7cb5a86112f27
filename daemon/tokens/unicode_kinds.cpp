#include "tokens/unicode_kinds.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace batchd {
namespace {

constexpr std::string_view runs =
#include "tokens/unicode_kinds.inc"
    ;

constexpr std::uint32_t code_points = 0x110000;

std::uint8_t kind_of_letter(char letter) {
  switch (letter) {
    case 'u':
      return upper_letter;
    case 'l':
      return lower_letter;
    case 'x':
      return other_letter;
    case 'm':
      return mark_char;
    case 'n':
      return number_char;
    case 's':
      return blank_char;
    case 'r':
      return newline_char;
    default:
      return sign_char;
  }
}

std::vector<std::uint8_t> all_kinds() {
  std::vector<std::uint8_t> kinds;
  kinds.reserve(code_points);
  for (std::size_t at = 0; at < runs.size();) {
    const std::uint8_t kind = kind_of_letter(runs[at++]);
    std::size_t length = 0;
    for (; at < runs.size() && runs[at] >= '0' && runs[at] <= '9'; ++at) {
      length = length * 10 + static_cast<std::size_t>(runs[at] - '0');
    }
    kinds.insert(kinds.end(), std::max<std::size_t>(length, 1), kind);
  }
  if (kinds.size() != code_points) throw std::logic_error("the table of Unicode's kinds is damaged");
  return kinds;
}

}  // namespace

UnicodeKinds::UnicodeKinds() {
  const std::vector<std::uint8_t> kinds = all_kinds();
  std::copy_n(kinds.begin(), ascii_.size(), ascii_.begin());
  std::vector<std::uint8_t> blocks;
  for (std::size_t block = 0; block < index_.size(); ++block) {
    const auto begin = kinds.begin() + static_cast<std::ptrdiff_t>(block * 256);
    std::size_t same = 0;
    while (same * 256 < blocks.size() &&
           !std::equal(begin, begin + 256, blocks.begin() + static_cast<std::ptrdiff_t>(same * 256)))
      ++same;
    if (same * 256 == blocks.size()) blocks.insert(blocks.end(), begin, begin + 256);
    if (same > 255) throw std::logic_error("more different blocks than a byte can number");
    index_[block] = static_cast<std::uint8_t>(same);
  }
  blocks_ = std::make_unique<std::uint8_t[]>(blocks.size());
  std::copy(blocks.begin(), blocks.end(), blocks_.get());
}

const UnicodeKinds& unicode_kinds() {
  static const UnicodeKinds kinds;
  return kinds;
}

}  // namespace batchd
