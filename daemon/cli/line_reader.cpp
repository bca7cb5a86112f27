#include "cli/line_reader.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace batchd {
namespace {

constexpr std::size_t buffer_size = 256 * 1024;
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

}  // namespace

LineReader::LineReader(int fd, std::size_t longest) : fd_(fd), longest_(longest), buffer_(buffer_size) {}

bool LineReader::fill() {
  ssize_t got = 0;
  do {
    got = read(fd_, buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw std::system_error(errno, std::generic_category(), "reading the input failed");
  begin_ = 0;
  end_ = static_cast<std::size_t>(got);
  return got > 0;
}

bool LineReader::next(std::string& line) {
  line.clear();
  too_long_ = false;
  bool ended = false;
  bool any = false;
  while (!ended) {
    if (begin_ == end_ && !fill()) break;
    any = true;
    const char* start = buffer_.data() + begin_;
    const auto* found = static_cast<const char*>(std::memchr(start, '\n', end_ - begin_));
    const std::size_t length = found != nullptr ? static_cast<std::size_t>(found - start) : end_ - begin_;
    const std::size_t room = longest_ - line.size();
    line.append(start, length <= room ? length : room);
    too_long_ = too_long_ || length > room;
    begin_ += length + (found != nullptr ? 1 : 0);
    ended = found != nullptr;
  }
  if (!any) return false;
  ++number_;
  if (line.ends_with('\r')) line.pop_back();
  if (number_ == 1 && line.starts_with(byte_order_mark)) line.erase(0, byte_order_mark.size());
  return true;
}

}  // namespace batchd
