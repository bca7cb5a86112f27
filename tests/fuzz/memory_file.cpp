#include "memory_file.hpp"

#include "harness.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace batchd::fuzz {

MemoryFile::MemoryFile() : fd_(memfd_create("batchd-fuzz", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(fd_)) {
  holds(fd_ >= 0, "there is a file in memory");
}

void MemoryFile::fill(std::string_view bytes) const {
  const bool filled = ftruncate(fd_, 0) == 0 && pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
  holds(filled && lseek(fd_, 0, SEEK_SET) == 0, "the file in memory takes what it is given");
}

}  // namespace batchd::fuzz
