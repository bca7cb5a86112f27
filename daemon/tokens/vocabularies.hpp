// The vocabularies of this process: each is read at its first use and kept; without its file there is none, and tokens are
// estimated (core/tokens.hpp).
#pragma once

#include "tokens/vocabulary.hpp"

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace batchd {

/// Where deploy/fetch-vocabulary's files are: `configured` when it is not empty (`none`: nowhere), else an installed share
/// folder, else `vocabulary` beside the program; "" when there is no such folder.
std::string find_vocabulary_dir(const std::string& configured);

class Vocabularies {
 public:
  /// Any number of threads may use it. `complain` is told why a vocabulary cannot be used, once for each, from any of them.
  explicit Vocabularies(std::string dir, std::function<void(const std::string&)> complain = {})
      : dir_(std::move(dir)), complain_(std::move(complain)) {}

  const std::string& dir() const { return dir_; }
  /// Null when there is none.
  const Vocabulary* get(Encoding encoding) const;

 private:
  struct Entry {
    std::once_flag tried;
    std::unique_ptr<const Vocabulary> vocabulary;
  };
  std::unique_ptr<const Vocabulary> load(Encoding encoding) const;

  std::string dir_;
  std::function<void(const std::string&)> complain_;
  mutable std::array<Entry, 2> entries_;
};

/// The one that `model` counts by; null when `vocabularies` is, or has none.
const Vocabulary* vocabulary_for(const Vocabularies* vocabularies, std::string_view model);

}  // namespace batchd
