// How many tokens the bodies of a file are together: exactly when they are few, else from a sample, with a bound to add so that
// what is reserved for the file is not too little. Without a vocabulary: the conservative estimate of core/tokens.hpp.
#pragma once

#include "core/types.hpp"
#include "tokens/body.hpp"
#include "tokens/vocabulary.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

namespace batchd {

struct TokenEstimate {
  Tokens tokens = 0;         ///< what they most likely are
  Tokens bound = 0;          ///< how many more they may be: four standard errors; 0 when all were counted
  std::int64_t lines = 0;    ///< bodies
  std::int64_t counted = 0;  ///< of these, exactly
  Tokens reserved() const { return tokens + bound; }
};

struct CountingPolicy {
  Bytes exact = 2 << 20;  ///< files of at most so many bytes are counted whole
  int one_in = 12;        ///< of longer ones every so manieth body of its kind is
};

/// One object a file. A sample is stratified: bodies of one power of two of estimated tokens, of like density (tokens a byte) and
/// with a like share of bytes beyond ASCII are a stratum, and one of every `one_in` of it is counted, at a place drawn anew for
/// each dozen (from a fixed seed: the same bodies give the same answer). In each, counted tokens go to estimated tokens as they
/// do in the sample (a ratio estimator, so that the estimate's own error cancels out); strata of fewer than eight counted bodies
/// are taken together, and when even these are fewer, what is not counted stays as estimated. Bodies with images in them are
/// always counted, for a picture's bytes tell nothing, and passing over them is quicker than estimating.
class TokenCounter {
 public:
  /// `vocabulary` is the model's, null to estimate all; it outlives the counter. `expected` is how many bytes will come, 0 when
  /// that is not known: then the first `policy.exact` are counted and the rest sampled.
  TokenCounter(const Vocabulary* vocabulary, const BodyKind& kind, Bytes expected = 0, CountingPolicy policy = {});

  void add(std::string_view body);
  TokenEstimate total() const;

 private:
  struct Stratum {
    std::int64_t bodies = 0, counted = 0;
    std::uint64_t chosen = 0;  // which of the present dozen
    double all = 0;            // estimated tokens of all
    double x = 0, y = 0;       // estimated and exact tokens of the counted ones; their squares and products
    double xx = 0, xy = 0, yy = 0;
    void take(const Stratum& other);
  };
  struct Guess {
    double tokens = 0, variance = 0;
  };
  static Guess guess(const Stratum& stratum);
  bool is_chosen(Stratum& stratum);

  std::optional<BodyCounter> counter_;
  CountingPolicy policy_;
  Bytes left_;  // to be counted whole
  TokenEstimate sure_;
  std::map<int, Stratum> strata_;
  std::uint64_t random_ = 0x9E3779B97F4A7C15ULL;
};

}  // namespace batchd
