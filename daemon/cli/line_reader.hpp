// Lines of a file or a pipe, one at a time, in bounded memory however long a line is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace batchd {

class LineReader {
 public:
  /// Reads from an open file descriptor, which stays the caller's. `longest` is the longest line kept.
  explicit LineReader(int fd, std::size_t longest);

  /// The next line without its line break ("\n" or "\r\n") and, on the first, without a byte order mark. False at the end.
  /// A line that is too long comes out cut, with `too_long()` true; the next call goes on after its end.
  /// Throws std::system_error when reading fails.
  bool next(std::string& line);
  std::int64_t number() const { return number_; }  ///< of the last line, from 1
  bool too_long() const { return too_long_; }

 private:
  bool fill();

  int fd_;
  std::size_t longest_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::int64_t number_ = 0;
  bool too_long_ = false;
};

}  // namespace batchd
