// A file in memory for code that reads by descriptor or by name. One for the life of the process, filled anew for each input.
#pragma once

#include <string>
#include <string_view>

namespace batchd::fuzz {

class MemoryFile {
 public:
  MemoryFile();
  /// Replaces what is in it, and puts the descriptor at its front.
  void fill(std::string_view bytes) const;
  int fd() const { return fd_; }
  /// A name under which it can be opened.
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

}  // namespace batchd::fuzz
