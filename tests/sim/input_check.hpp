// The check of a whole input file while its bytes arrive, line by line and never held together. What is learnt of a valid
// file is InputFacts: its requests as an array on disk, and the few facts that decide whether a batch may run.
#pragma once

#include "poison.hpp"
#include "request_line.hpp"
#include "spool_file.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sim {

/// Immutable once made; shared by the input file, its batches and their result files, whichever lives longest.
struct InputFacts {
  std::unique_ptr<SpoolFile> records;  ///< RequestRecord[requests]
  std::uint32_t requests = 0;          ///< lines seen
  std::uint64_t tokens = 0;
  std::uint32_t will_fail = 0;  ///< requests that asked for an outcome counted as failed
  std::string url;
  std::string model;
  bool has_bom = false;
  std::vector<InputError> errors;      ///< the first hundred
  std::vector<PoisonedLine> poisoned;  ///< the first hundred
};

class InputCheck {
 public:
  InputCheck(const TokenCounter& counter, bool strict, const std::string& spool_dir);

  void feed(std::string_view bytes);
  /// After the last byte.
  std::shared_ptr<const InputFacts> finish();

 private:
  void carry(std::string_view part);
  void line(std::string_view text);
  void accept(const RequestLine& read);
  void report(InputError error);
  void flush();

  RequestLine reader_;
  std::shared_ptr<InputFacts> facts_;
  std::string carry_;  ///< a line whose end has not arrived
  std::string records_;
  HashSet ids_;
  bool started_ = false;
};

}  // namespace sim
