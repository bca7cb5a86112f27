#include "tokens/counter.hpp"

#include "core/tokens.hpp"
#include "support/vocabularies.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace batchd {
namespace {

constexpr CountingPolicy always_sampled{0, 12};

// Of several scripts, code among them.
const std::vector<std::vector<std::string>> kinds = {
    {"the ", "price ", "of ", "seventeen ", "apples ", "is ", "considered ", "unreasonable, ", "because ", "Mary ", "had 42. "},
    {"for (int i = 0; ", "i < n; ++i) {\\n", "  sum += ", "values[i]; ", "}\\n", "return std::move(", "result_); ", "// note\\n"},
    {"Вопрос ", "о ", "стоимости ", "яблок ", "остаётся ", "открытым. "},
    {"価格は", "リンゴ", "の", "問題", "です。", "計算", "する"},
    {"0.1234,", "982734,", "-12.5e3,", "id_8f3a9c,", "\\\"x\\\": ", "true, "},
};

/// Prompts from a few words to a few pages.
std::vector<std::string> mixed_bodies(std::size_t number) {
  std::mt19937 random(11);
  std::vector<std::string> bodies;
  for (std::size_t i = 0; i < number; ++i) {
    const auto& words = kinds[random() % kinds.size()];
    const auto length = static_cast<std::size_t>(20 * std::exp(static_cast<double>(random() % 1000) / 300.0));
    std::string text;
    while (text.size() < length) text += words[random() % words.size()];
    bodies.push_back(R"({"model":"gpt-4o-mini","messages":[{"role":"user","content":")" + text + R"("}]})");
  }
  return bodies;
}

TEST(TokenCounter, WithoutAVocabularyTheConservativeEstimateStands) {
  TokenCounter counter(nullptr, {"gpt-4o", ""});
  Tokens expected = 0;
  for (const std::string& body : mixed_bodies(50)) {
    counter.add(body);
    expected += estimate_tokens(body);
  }
  const TokenEstimate total = counter.total();
  EXPECT_EQ(total.tokens, expected);
  EXPECT_EQ(total.reserved(), expected);
  EXPECT_EQ(total.lines, 50);
  EXPECT_EQ(total.counted, 0);
}

/// Counts by a vocabulary that knows the words of these prompts, with the blank before them, and their beginnings.
class Counting : public testing::Test {
 protected:
  static Vocabulary their_words() {
    std::set<std::string> tokens;
    for (const auto& words : kinds) {
      for (const std::string& word : words) {
        const std::string bare = word.substr(0, word.find(' '));
        for (const std::string& token : {bare, " " + bare}) {
          for (std::size_t length = 2; length <= token.size(); ++length) tokens.insert(token.substr(0, length));
        }
      }
    }
    return test::small_vocabulary(Encoding::o200k_base, {tokens.begin(), tokens.end()});
  }
  TokenEstimate total_of(const std::vector<std::string>& bodies, Bytes expected, CountingPolicy policy = {}) {
    TokenCounter counter(&vocabulary, kind, expected, policy);
    for (const std::string& body : bodies) counter.add(body);
    return counter.total();
  }
  const BodyKind kind{"gpt-4o-mini", "/v1/chat/completions"};
  const Vocabulary vocabulary = their_words();
};

TEST_F(Counting, SmallFilesAreCountedExactly) {
  const auto bodies = mixed_bodies(200);
  BodyCounter exact(vocabulary, kind);
  Tokens expected = 0;
  for (const std::string& body : bodies) expected += exact.count(body);
  for (const Bytes announced : {Bytes{0}, Bytes{100'000}}) {
    const TokenEstimate total = total_of(bodies, announced);
    EXPECT_EQ(total.tokens, expected);
    EXPECT_EQ(total.bound, 0);
    EXPECT_EQ(total.counted, 200);
  }
}

TEST_F(Counting, SamplesAreNearAndTheirBoundHolds) {
  const auto bodies = mixed_bodies(24'000);
  BodyCounter exact(vocabulary, kind);
  std::vector<Tokens> counts;
  for (const std::string& body : bodies) counts.push_back(exact.count(body));
  std::mt19937 random(5);
  double errors = 0;
  double bounds = 0;
  constexpr int trials = 40;
  for (int trial = 0; trial < trials; ++trial) {
    // Each trial is a file of its own: some kinds twice, some hardly.
    TokenCounter counter(&vocabulary, kind, 1'000'000'000);
    Tokens truth = 0;
    std::int64_t lines = 0;
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      if (random() % 4 == 0) continue;
      counter.add(bodies[i]);
      truth += counts[i];
      ++lines;
    }
    const TokenEstimate total = counter.total();
    EXPECT_EQ(total.lines, lines);
    EXPECT_LE(total.counted * 10, lines) << "a tenth is counted at most";
    EXPECT_LE(std::abs(total.tokens - truth), total.bound);
    errors += std::abs(static_cast<double>(total.tokens - truth)) / static_cast<double>(truth) / trials;
    bounds += static_cast<double>(total.bound) / static_cast<double>(truth) / trials;
  }
  EXPECT_LE(errors, 0.005);
  EXPECT_LE(bounds, 0.015);
  RecordProperty("mean_error", std::to_string(errors));
  RecordProperty("mean_bound", std::to_string(bounds));
}

TEST_F(Counting, FewUncountedBodiesStayAsEstimatedAndPicturesAreAlwaysCounted) {
  const auto bodies = mixed_bodies(6);
  const TokenEstimate total = total_of(bodies, 1'000'000'000, always_sampled);
  EXPECT_LT(total.counted, 6);
  Tokens exact = 0;
  BodyCounter counter(vocabulary, kind);
  for (const std::string& body : bodies) exact += counter.count(body);
  EXPECT_GE(total.reserved(), exact);
  const std::string picture =
      R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,)" +
      std::string(200'000, 'A') + R"("}}]}]})";
  const std::vector<std::string> pictures(20, picture);
  const TokenEstimate seen = total_of(pictures, 1'000'000'000, always_sampled);
  EXPECT_EQ(seen.counted, 20);
  EXPECT_EQ(seen.tokens, 20 * counter.count(picture));
}

}  // namespace
}  // namespace batchd
