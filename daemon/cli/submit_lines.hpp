// The lines of a submitted file as requests, one after the other, with what is wrong told by their numbers.
#pragma once

#include "cli/input_file.hpp"
#include "cli/line_reader.hpp"
#include "cli/submit_line.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>

namespace batchd {

struct BadLine : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Requests out of lines; empty lines are passed over.
class SubmitLines {
 public:
  SubmitLines(const InputFile& input, SubmitDefaults defaults)
      : reader_(input.fd(), longest_input_line), defaults_(std::move(defaults)) {}

  /// The next request; false at the end. Throws BadLine, after which the next call goes on behind it.
  bool next(NewRequest& request);
  /// Reads to the end, only to complain; returns how many more lines are bad.
  std::int64_t complain(std::int64_t already = 0);
  std::int64_t requests() const { return requests_; }

 private:
  LineReader reader_;
  SubmitDefaults defaults_;
  std::string line_;
  std::int64_t requests_ = 0;
};

}  // namespace batchd
