#include "cli/output_file.hpp"

#include "cli/commands.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace batchd {
namespace {

constexpr std::size_t write_size = 256 * 1024;

}  // namespace

OutputFile::OutputFile(const std::string& name, const std::string& unfinished) : name_(name), fd_(STDOUT_FILENO) {
  if (name_.empty()) return;
  fd_ = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) throw CommandError(exit_failure, unfinished + " cannot be written: " + std::strerror(errno));
  unfinished_ = unfinished;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0 && !name_.empty()) close(fd_);
  if (!unfinished_.empty()) unlink(unfinished_.c_str());
}

void OutputFile::flush_if_large() {
  if (text_.size() >= write_size) flush();
}

void OutputFile::finish() {
  flush();
  if (name_.empty()) return;
  if (fsync(fd_) != 0 || std::rename(unfinished_.c_str(), name_.c_str()) != 0) fail();
  unfinished_.clear();
}

void OutputFile::flush() {
  for (std::size_t done = 0; done < text_.size();) {
    const ssize_t wrote = write(fd_, text_.data() + done, text_.size() - done);
    if (wrote < 0 && errno != EINTR) fail();
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
  }
  text_.clear();
}

void OutputFile::fail() const {
  throw CommandError(exit_failure, (name_.empty() ? "stdout" : name_) + " cannot be written: " + std::strerror(errno));
}

}  // namespace batchd
