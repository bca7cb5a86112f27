// Holds a directory for one process: an advisory lock that ends with the process however it ends, and is never inherited by
// its children. Owned by the command that works on the directory; it protects nothing from other programs.
#pragma once

#include <string>

namespace batchd {

class StateLock {
 public:
  /// Locks `file`, making it when need be. Throws std::runtime_error when it cannot be opened.
  explicit StateLock(const std::string& file);
  ~StateLock();
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

  /// False when another process has it.
  bool held() const { return held_; }
  /// What the holder left for others to read; "" when it left nothing.
  const std::string& holder() const { return holder_; }

 private:
  int fd_ = -1;
  bool held_ = false;
  std::string holder_;
};

}  // namespace batchd
