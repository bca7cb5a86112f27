// Bytes kept on disk instead of in memory: an anonymous file that vanishes with its last owner, or with the process
// however it ends. It has no name in the file system, so nothing is ever left behind.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sim {

class SpoolFile {
 public:
  /// Throws std::system_error when `dir` cannot hold files.
  explicit SpoolFile(const std::string& dir);
  ~SpoolFile();
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  /// Throws std::system_error, such as when the disk is full.
  void append(std::string_view bytes);
  /// Reads up to `into.size()` bytes at `offset`; returns how many, 0 at the end.
  std::size_t read_at(std::uint64_t offset, std::span<char> into) const;
  std::uint64_t size() const { return size_; }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::uint64_t size_ = 0;
};

/// A whole spool file in the address space, read only, for as long as this object lives.
class SpoolMapping {
 public:
  explicit SpoolMapping(const SpoolFile& file);
  ~SpoolMapping();
  SpoolMapping(const SpoolMapping&) = delete;
  SpoolMapping& operator=(const SpoolMapping&) = delete;

  const char* data() const { return data_; }

 private:
  const char* data_ = nullptr;
  std::size_t size_;
};

}  // namespace sim
