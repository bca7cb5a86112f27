// Where a command's lines go: stdout, or a file that gets its name only when it is complete, so that nobody takes a part for the
// whole.
#pragma once

#include <string>

namespace batchd {

class OutputFile {
 public:
  /// `name`: "" for stdout. `unfinished`: what the file is called until it is complete. Throws CommandError, as all methods do.
  OutputFile(const std::string& name, const std::string& unfinished);
  /// Removes what was not finished.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Lines are appended here, and go out by `flush_if_large`.
  std::string& text() { return text_; }
  void flush_if_large();
  /// Everything is written: the file is safe on disk and takes its name, replacing what had it.
  void finish();

 private:
  void flush();
  [[noreturn]] void fail() const;

  std::string name_;
  std::string unfinished_;
  int fd_;
  std::string text_;
};

}  // namespace batchd
