#include "provider/file_mark.hpp"

#include <sys/stat.h>

#include <utility>

namespace batchd {

std::optional<FileMark> file_mark(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return std::nullopt;
  return FileMark{info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec};
}

bool FileWatch::changed() {
  const auto now = file_mark(file_);
  const auto before = std::exchange(seen_, now);
  return now && now != before;
}

}  // namespace batchd
