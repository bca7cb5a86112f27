#include "quota_model/chart.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

namespace batchd::bench {
namespace {

constexpr std::array<const char*, 4> colours{"#0b6e4f", "#b0413e", "#c98a1b", "#4a6fa5"};
constexpr int left = 210, width = 900, height = 70, gap = 34, top = 70;

std::string percent(double share) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", 100 * share);
  return text.data();
}

/// Means of six hours, so that a month is readable.
std::string points(const std::vector<float>& by_hour, int y) {
  std::ostringstream out;
  constexpr std::size_t bin = 6;
  for (std::size_t i = 0; i + bin <= by_hour.size(); i += bin) {
    double sum = 0;
    int count = 0;
    for (std::size_t k = i; k < i + bin; ++k) {
      if (by_hour[k] < 0) continue;
      sum += by_hour[k];
      ++count;
    }
    if (count == 0) continue;
    const double x = left + width * (static_cast<double>(i) + bin / 2.0) / static_cast<double>(by_hour.size());
    out << static_cast<int>(x * 10) / 10.0 << ',' << y + height - static_cast<int>(height * sum / count * 10) / 10.0 << ' ';
  }
  return out.str();
}

}  // namespace

std::string chart(const std::vector<Strip>& strips, int days) {
  std::ostringstream out;
  const int tall = top + static_cast<int>(strips.size()) * (height + gap) + 20;
  out << R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 )" << left + width + 220 << ' ' << tall
      << R"(" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>)"
      << R"(<text x="20" y="26" font-size="17">How much of a provider's enqueued-token quota is used while work waits, )" << days
      << " simulated days</text>\n";
  for (std::size_t i = 0; !strips.empty() && i < strips.front().lines.size(); ++i) {
    out << "<text x=\"" << 20 + 200 * i << "\" y=\"48\" fill=\"" << colours[i % colours.size()] << "\">&#9632; "
        << strips.front().lines[i].name << "</text>\n";
  }
  int y = top;
  for (const Strip& strip : strips) {
    out << "<text x=\"20\" y=\"" << y + height / 2 << "\">" << strip.title << "</text><rect x=\"" << left << "\" y=\"" << y
        << "\" width=\"" << width << "\" height=\"" << height << R"(" fill="#f4f4f1" stroke="#ccc"/>)" << '\n';
    for (std::size_t i = strip.lines.size(); i-- > 0;) {
      const Line& line = strip.lines[i];
      const char* colour = colours[i % colours.size()];
      out << "<polyline fill=\"none\" stroke-width=\"" << (i == 0 ? 2 : 1) << "\" stroke=\"" << colour << "\" points=\""
          << points(line.by_hour, y) << "\"/><text x=\"" << left + width + 10 << "\" y=\"" << y + 14 + static_cast<int>(i) * 17
          << "\" fill=\"" << colour << "\">" << percent(line.mean) << "</text>\n";
    }
    y += height + gap;
  }
  out << "</svg>\n";
  return out.str();
}

}  // namespace batchd::bench
