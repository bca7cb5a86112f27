#include "local/state_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace batchd {

StateLock::StateLock(const std::string& file) : fd_(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (fd_ < 0) throw std::runtime_error(file + " cannot be opened: " + std::strerror(errno));
  int locked = 0;
  do {
    locked = flock(fd_, LOCK_EX | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  held_ = locked == 0;
  if (!held_ && errno != EWOULDBLOCK) {
    const int reason = errno;
    close(fd_);
    throw std::runtime_error(file + " cannot be locked: " + std::strerror(reason));
  }
  if (held_) {
    holder_ = "process " + std::to_string(getpid());
    // Only a courtesy to whoever is refused.
    if (ftruncate(fd_, 0) != 0 || pwrite(fd_, holder_.data(), holder_.size(), 0) < 0) holder_.clear();
    return;
  }
  std::array<char, 64> text{};
  const ssize_t got = pread(fd_, text.data(), text.size(), 0);
  if (got > 0) holder_.assign(text.data(), static_cast<std::size_t>(got));
}

StateLock::~StateLock() {
  close(fd_);
}

}  // namespace batchd
