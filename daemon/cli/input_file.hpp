// A command's input file, opened for reading; "-" is stdin.
#pragma once

#include <sys/types.h>

#include <string>

namespace batchd {

/// The longest line that is read; no provider takes a larger file.
inline constexpr std::size_t longest_input_line = 200'000'000;

class InputFile {
 public:
  /// Throws CommandError when it cannot be read.
  explicit InputFile(const std::string& name);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int fd() const { return fd_; }
  /// True when it can be read twice.
  bool regular() const { return regular_; }
  /// Back to where it was when it was opened.
  void rewind() const;

 private:
  int fd_;
  bool regular_ = false;
  off_t start_ = 0;
};

}  // namespace batchd
