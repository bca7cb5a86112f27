// The two ways of cutting bytes into lines. A LineSplitter gives the same lines however the network cuts the bytes, and the same
// as a LineReader does on a file; no line that is handed over is longer than allowed; every byte is in one line. Input: the
// longest line and the sizes of pieces, as FuzzedDataProvider takes them; the bytes.
#include "cli/line_reader.hpp"
#include "harness.hpp"
#include "memory_file.hpp"
#include "spool/spool.hpp"

#include <fuzzer/FuzzedDataProvider.h>

namespace batchd::fuzz {
namespace {

struct Line {
  std::string text;
  bool too_long = false;
  friend bool operator==(const Line&, const Line&) = default;
};

template <class NextSize>
std::vector<Line> split(std::string_view bytes, std::size_t longest, NextSize next_size) {
  std::vector<Line> lines;
  const auto keep = [&lines](const LineSplitter::Line& line) { lines.push_back({std::string(line.text), line.too_long}); };
  LineSplitter splitter(longest);
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), next_size());
    const std::string piece(bytes.substr(0, size));  // gone when it was fed
    splitter.feed(piece, keep);
    bytes.remove_prefix(size);
  }
  const std::size_t before = lines.size();
  holds(splitter.end(keep) == (lines.size() == before + 1), "the end says whether there was a last line");
  return lines;
}

std::vector<Line> read(std::string_view bytes, std::size_t longest) {
  static const MemoryFile file;
  file.fill(bytes);
  LineReader reader(file.fd(), longest);
  std::vector<Line> lines;
  for (std::string line; reader.next(line);) lines.push_back({reader.too_long() ? "" : line, reader.too_long()});
  holds(reader.number() == static_cast<std::int64_t>(lines.size()), "lines are counted");
  return lines;
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  const auto longest = data.ConsumeIntegralInRange<std::size_t>(1, 64);
  const auto sizes = data.ConsumeBytes<std::uint8_t>(data.ConsumeIntegralInRange<std::size_t>(0, 8));
  std::string bytes = data.ConsumeRemainingBytesAsString();
  const auto whole = split(bytes, longest, [&] { return bytes.size(); });
  std::size_t turn = 0;
  const auto cut =
      split(bytes, longest, [&] { return sizes.empty() ? std::size_t{1} : sizes[turn++ % sizes.size()] % 16 + std::size_t{1}; });
  holds(cut == whole, "however bytes are cut, lines are the same");
  std::size_t kept = 0;
  for (const Line& line : whole) {
    holds(line.text.size() <= longest && line.text.find('\n') == std::string::npos, "a line is one line, within its bound");
    kept += line.text.size();
  }
  holds(kept <= bytes.size(), "nothing is made up");
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.front() = 'x';  // a file's byte order mark is no part of it
  const auto expected = split(bytes, longest, [&] { return bytes.size(); });
  holds(read(bytes, longest) == expected, "a file has the lines of its bytes");
}

}  // namespace batchd::fuzz
