#include "cli/line_reader.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

namespace batchd {
namespace {

struct Line {
  std::string text;
  bool too_long = false;
  friend bool operator==(const Line&, const Line&) = default;
};

/// What a reader makes of these bytes when they come through a pipe.
std::vector<Line> lines(const std::string& bytes, std::size_t longest = 1'000'000) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (std::size_t done = 0; done < bytes.size();) {
      const auto wrote = write(ends[1], bytes.data() + done, bytes.size() - done);
      ASSERT_GT(wrote, 0);
      done += static_cast<std::size_t>(wrote);
    }
    close(ends[1]);
  });
  LineReader reader(ends[0], longest);
  std::vector<Line> out;
  for (std::string text; reader.next(text);) {
    out.push_back({text, reader.too_long()});
    EXPECT_EQ(reader.number(), static_cast<std::int64_t>(out.size()));
  }
  writer.join();
  close(ends[0]);
  return out;
}

TEST(LineReader, KnowsEveryKindOfLineEnd) {
  EXPECT_EQ(lines(""), (std::vector<Line>{}));
  EXPECT_EQ(lines("a"), (std::vector<Line>{{"a"}}));
  EXPECT_EQ(lines("a\n"), (std::vector<Line>{{"a"}}));
  EXPECT_EQ(lines("a\r\nb\n\nc"), (std::vector<Line>{{"a"}, {"b"}, {""}, {"c"}}));
}

TEST(LineReader, DropsAByteOrderMarkOnTheFirstLineOnly) {
  EXPECT_EQ(lines("\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n"), (std::vector<Line>{{"{}"}, {"\xef\xbb\xbf{}"}}));
}

TEST(LineReader, ReadsLinesLargerThanItsBuffer) {
  const std::string large(700'000, 'x');
  EXPECT_EQ(lines(large + "\n" + large + "y"), (std::vector<Line>{{large}, {large + "y"}}));
}

TEST(LineReader, CutsALineThatIsTooLongAndGoesOnBehindIt) {
  EXPECT_EQ(lines("12345678\n1234\n", 4), (std::vector<Line>{{"1234", true}, {"1234", false}}));
  EXPECT_EQ(lines(std::string(600'000, 'x') + "\nab\n", 4), (std::vector<Line>{{"xxxx", true}, {"ab", false}}));
}

TEST(LineReader, AReadErrorIsAnError) {
  std::string line;
  EXPECT_THROW(LineReader(-1, 10).next(line), std::system_error);
}

}  // namespace
}  // namespace batchd
