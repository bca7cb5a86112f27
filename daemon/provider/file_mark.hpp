// What tells that a file was replaced or rewritten, without reading it. Compares equal as long as the file is the same one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace batchd {

struct FileMark {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;  ///< since the epoch
  friend bool operator==(const FileMark&, const FileMark&) = default;
};

/// Nothing when there is no such file at the moment. Follows links, as those that Kubernetes swaps.
std::optional<FileMark> file_mark(const std::filesystem::path& file);

/// Notices that a file has changed.
class FileWatch {
 public:
  explicit FileWatch(std::filesystem::path file) : file_(std::move(file)), seen_(file_mark(file_)) {}
  /// True when the file is there and is another one than at the last call (or at the beginning).
  bool changed();

 private:
  std::filesystem::path file_;
  std::optional<FileMark> seen_;
};

}  // namespace batchd
