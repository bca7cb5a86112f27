// How long answers of a model usually are: a small histogram of their output tokens that forgets slowly, and its 99th percentile.
// A value without a clock; the database keeps its counts, and replicas add to them in turn.
#pragma once

#include "core/types.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace batchd {

class OutputSizes {
 public:
  OutputSizes() = default;
  /// As `counts()` gave them; what no histogram of ours has, such as a negative count, counts as nothing.
  explicit OutputSizes(std::vector<std::int64_t> counts);

  void add(Tokens output);
  /// Takes the other's answers as seen now, and forgets half of everything whenever there are many.
  void add(const OutputSizes& newer);

  /// 99 of 100 answers have no more output tokens than this, which is at most an eighth above the true value; nothing before
  /// there are enough answers to say so.
  std::optional<Tokens> usual() const;
  /// What an answer has on average, each taken for the most of its bucket; 0 when there are none.
  Tokens mean() const;
  bool empty() const { return total_ == 0; }
  std::int64_t total() const { return total_; }
  const std::vector<std::int64_t>& counts() const { return counts_; }

  /// The bucket of a number of tokens, and the most tokens that belong to it.
  static std::size_t bucket_of(Tokens tokens);
  static Tokens top_of(std::size_t bucket);

  static constexpr std::int64_t enough = 100;
  static constexpr std::int64_t many = 50'000;

 private:
  std::vector<std::int64_t> counts_;
  std::int64_t total_ = 0;
};

}  // namespace batchd
