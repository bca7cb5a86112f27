#include "cli/input_file.hpp"

#include "cli/commands.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace batchd {

InputFile::InputFile(const std::string& name) : fd_(name == "-" ? STDIN_FILENO : open(name.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) throw CommandError(exit_usage, name + " cannot be read: " + std::strerror(errno));
  struct stat info {};
  if (fstat(fd_, &info) == 0 && S_ISDIR(info.st_mode)) throw CommandError(exit_usage, name + " is a directory");
  regular_ = S_ISREG(info.st_mode);
  start_ = lseek(fd_, 0, SEEK_CUR);
}

InputFile::~InputFile() {
  if (fd_ != STDIN_FILENO) close(fd_);
}

void InputFile::rewind() const {
  lseek(fd_, start_, SEEK_SET);
}

}  // namespace batchd
