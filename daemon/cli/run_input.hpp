// The lines of a run's input as requests, with a complaint for each that can never be answered. Reads the file once, in bounded
// memory, and enqueues nothing by itself.
#pragma once

#include "cli/input_file.hpp"
#include "cli/line_reader.hpp"
#include "cli/submit_line.hpp"
#include "db/run_book.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace batchd {

class RunInput {
 public:
  RunInput(const InputFile& file, SubmitDefaults defaults, std::function<void(const std::string&)> complain);

  /// The next good line; false at the end. Empty lines are passed over, bad ones complained about.
  bool next(InputLine& line);
  std::int64_t good() const { return good_; }
  std::int64_t bad() const { return bad_; }

 private:
  std::optional<std::string> what_is_wrong(InputLine& line);

  LineReader reader_;
  SubmitDefaults defaults_;
  std::function<void(const std::string&)> complain_;
  std::string text_;
  std::string built_;  // a line as it would be sent
  std::int64_t good_ = 0;
  std::int64_t bad_ = 0;
};

}  // namespace batchd
