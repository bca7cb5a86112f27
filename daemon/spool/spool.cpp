#include "spool/spool.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace batchd {
namespace {

constexpr std::size_t buffer_size = 256 * 1024;
constexpr std::string_view folder_prefix = "scratch-";

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& path) {
  throw SpoolError(what + " " + path.string() + ": " + std::strerror(errno));
}

void write_all(int fd, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write the scratch file", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Removes the folders of processes that do not exist any more: `scratch-<pid>-xxxxxx`.
void remove_leftovers(const std::filesystem::path& state_dir) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(state_dir, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(folder_prefix)) continue;
    pid_t pid = 0;
    std::from_chars(name.data() + folder_prefix.size(), name.data() + name.size(), pid);
    const bool alive = pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
    if (!alive) std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace

ScratchFile::ScratchFile(Spool& spool, std::filesystem::path path, Bytes room)
    : spool_(&spool), path_(std::move(path)), room_(room) {}

ScratchFile::ScratchFile(ScratchFile&& other) noexcept
    : spool_(other.spool_),
      path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)),
      read_(other.read_),
      size_(other.size_),
      room_(std::exchange(other.room_, 0)) {}

ScratchFile::~ScratchFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  spool_->used_ -= room_;
}

void ScratchFile::append(std::string_view bytes) {
  size_ += static_cast<Bytes>(bytes.size());
  if (size_ > room_) {
    spool_->used_ += size_ - room_;
    room_ = size_;
  }
  if (buffer_.size() + bytes.size() >= buffer_size) flush();
  if (bytes.size() >= buffer_size) {
    write_all(fd_, bytes, path_);
  } else {
    buffer_.append(bytes);
  }
}

void ScratchFile::flush() {
  if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd_ < 0) fail("cannot create the scratch file", path_);
  write_all(fd_, buffer_, path_);
  buffer_.clear();
}

void ScratchFile::rewind() {
  if (fd_ < 0) return;  // all of it is in the buffer
  flush();
  if (::lseek(fd_, 0, SEEK_SET) < 0) fail("cannot read back the scratch file", path_);
}

std::string_view ScratchFile::read_some() {
  if (fd_ < 0) {
    const std::string_view unread = std::string_view(buffer_).substr(read_);
    read_ = buffer_.size();
    return unread;
  }
  buffer_.resize(std::min(buffer_size, static_cast<std::size_t>(size_)));
  ssize_t got = 0;
  do {
    got = ::read(fd_, buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) fail("cannot read back the scratch file", path_);
  return {buffer_.data(), static_cast<std::size_t>(got)};
}

Spool::Spool(const std::filesystem::path& state_dir, Bytes budget) : budget_(budget) {
  std::error_code error;
  std::filesystem::create_directories(state_dir, error);
  if (error) throw SpoolError("cannot make the state directory " + state_dir.string() + ": " + error.message());
  remove_leftovers(state_dir);
  std::string name = (state_dir / (std::string(folder_prefix) + std::to_string(::getpid()) + "-XXXXXX")).string();
  if (!::mkdtemp(name.data())) fail("cannot make a scratch folder in", state_dir);
  folder_ = name;
}

Spool::~Spool() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::optional<ScratchFile> Spool::open(Bytes expected) {
  const Bytes before = used_.fetch_add(expected);
  if (before > 0 && before + expected > budget_) {
    used_ -= expected;
    return std::nullopt;
  }
  return ScratchFile(*this, folder_ / std::to_string(next_++), expected);
}

void LineSplitter::keep(std::string_view piece) {
  if (skipping_) return;
  if (partial_.size() + piece.size() > max_line_) {
    skipping_ = true;
    partial_.clear();
    partial_.shrink_to_fit();
    return;
  }
  partial_.append(piece);
}

}  // namespace batchd
