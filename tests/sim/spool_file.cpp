#include "spool_file.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sim {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int open_anonymous(const std::string& dir) {
  const int direct = ::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (direct >= 0) return direct;
  // Some file systems (overlayfs of older kernels) have no O_TMPFILE: make a name and take it away at once.
  std::string name = dir + "/batchd-sim-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) fail("cannot create a spool file in " + dir);
  ::unlink(name.c_str());
  return named;
}

}  // namespace

SpoolFile::SpoolFile(const std::string& dir) : descriptor_(open_anonymous(dir)) {}

SpoolFile::~SpoolFile() {
  ::close(descriptor_);
}

void SpoolFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write a spool file");
    bytes.remove_prefix(static_cast<std::size_t>(written));
    size_ += static_cast<std::uint64_t>(written);
  }
}

std::size_t SpoolFile::read_at(std::uint64_t offset, std::span<char> into) const {
  for (;;) {
    const auto got = ::pread(descriptor_, into.data(), into.size(), static_cast<off_t>(offset));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) fail("cannot read a spool file");
  }
}

SpoolMapping::SpoolMapping(const SpoolFile& file) : size_(file.size()) {
  if (size_ == 0) return;
  void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (mapped == MAP_FAILED) fail("cannot map a spool file");
  data_ = static_cast<const char*>(mapped);
}

SpoolMapping::~SpoolMapping() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace sim
