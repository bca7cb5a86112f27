// Scratch files: input files on their way to a provider, and lines set aside while answers are merged.
// Everything here can be lost at any time; nothing is ever read back after a restart. Disk use is bounded.
#pragma once

#include "core/types.hpp"

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// The disk said no (full, gone, not permitted). The step is tried again later.
class SpoolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Spool;

/// One scratch file, removed with the object. Written once, front to back; not thread-safe, but may change threads.
/// What is short and never flushed stays in memory and touches no disk.
class ScratchFile {
 public:
  ScratchFile(ScratchFile&&) noexcept;
  ScratchFile& operator=(ScratchFile&&) = delete;
  ~ScratchFile();

  /// Buffered; throws SpoolError.
  void append(std::string_view bytes);
  void flush();
  /// Bytes appended so far.
  Bytes size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  /// Goes back to the front for reading, once.
  void rewind();
  /// The next bytes, at most 256 KiB, valid until the next call; empty at the end.
  std::string_view read_some();

 private:
  friend class Spool;
  ScratchFile(Spool& spool, std::filesystem::path path, Bytes room);

  Spool* spool_;
  std::filesystem::path path_;
  int fd_ = -1;
  std::string buffer_;
  std::size_t read_ = 0;  // of the buffer, when there is no file
  Bytes size_ = 0;
  Bytes room_ = 0;  // reserved in the spool's budget
};

class Spool {
 public:
  /// Makes a folder of its own under `state_dir`, and removes those of processes that are gone. Throws SpoolError.
  Spool(const std::filesystem::path& state_dir, Bytes budget);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// A new file for which `expected` bytes of the budget are set aside; nothing when the budget is spent for now.
  /// A file may grow beyond what was set aside. The first file always gets its room, however large.
  std::optional<ScratchFile> open(Bytes expected);
  const std::filesystem::path& folder() const { return folder_; }

 private:
  friend class ScratchFile;
  std::filesystem::path folder_;
  Bytes budget_;
  std::atomic<Bytes> used_{0};
  std::atomic<std::uint64_t> next_{0};
};

/// The longest line of an input or a result file that is read; a longer one is corrupt. Providers take bodies of some 20 MB.
inline constexpr std::size_t longest_file_line = 64 << 20;

/// Cuts a stream of bytes into lines. A line longer than `max_line` is reported once, empty, as too long, and skipped.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t max_line) : max_line_(max_line) {}

  struct Line {
    std::string_view text;  ///< without its newline and a carriage return before it
    bool too_long = false;
  };

  /// Appends the next bytes and hands over every line that is complete.
  template <class F>
  void feed(std::string_view bytes, F&& line) {
    while (!bytes.empty()) {
      const std::size_t newline = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, newline);
      if (newline == std::string_view::npos) {
        keep(piece);
        return;
      }
      bytes.remove_prefix(newline + 1);
      if (partial_.empty() && !skipping_) {
        const bool too_long = piece.size() > max_line_;
        line(Line{too_long ? std::string_view{} : trimmed(piece), too_long});
      } else {
        keep(piece);
        finish(line);
      }
    }
  }
  /// The last line, when it has no newline; true when there was one.
  template <class F>
  bool end(F&& line) {
    if (partial_.empty() && !skipping_) return false;
    finish(line);
    return true;
  }

 private:
  void keep(std::string_view piece);
  static std::string_view trimmed(std::string_view text) {
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    return text;
  }
  template <class F>
  void finish(F&& line) {
    line(skipping_ ? Line{{}, true} : Line{trimmed(partial_), false});
    partial_.clear();
    skipping_ = false;
  }

  std::size_t max_line_;
  std::string partial_;
  bool skipping_ = false;
};

}  // namespace batchd
