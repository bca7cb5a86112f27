#include "world.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace sim {

std::optional<std::int64_t> whole_number(const std::string& text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) return std::nullopt;
  return value;
}

std::int64_t least_expiry(const Call& call, const Settings& settings) {
  return call.azure() ? std::chrono::duration_cast<std::chrono::seconds>(settings.expiry_min).count() : 3600;
}

Task<std::optional<std::string>> read_small(BodyReader& body) {
  constexpr std::size_t most = 1024 * 1024;
  std::string text;
  std::array<char, 16 * 1024> piece;
  const std::span<char> into(piece);
  for (;;) {
    const auto got = co_await body.read(into);
    if (got == 0) co_return text;
    if (text.size() + got > most) co_return std::nullopt;
    text.append(piece.data(), got);
  }
}

std::optional<std::string> unknown_parameter(const RequestHead& head, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : head.query) {
    if (name != "api-version" && std::find(known.begin(), known.end(), name) == known.end()) return name;
  }
  return std::nullopt;
}

}  // namespace sim
