#include "tokens/tokenizer.hpp"

#include "support/vocabularies.hpp"
#include "tokens/encoding.hpp"
#include "tokens/vocabularies.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <stdexcept>

namespace batchd {
namespace {

using test::small_vocabulary;

std::vector<std::string> pieces(Encoding encoding, std::string_view text) {
  const Splitter splitter(encoding);
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = splitter.piece_end(text, at);
    out.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

using Pieces = std::vector<std::string>;

TEST(Splitter, CutsWhereTheRegularExpressionsDo) {
  struct Case {
    const char* text;
    Pieces o200k, cl100k;
  };
  const Case cases[] = {
      {"Hello world", {"Hello", " world"}, {"Hello", " world"}},
      {"DON'T don'tx", {"DON'T", " don't", "x"}, {"DON", "'T", " don", "'t", "x"}},
      {"it'\xC5\xBF", {"it'\xC5\xBF"}, {"it", "'\xC5\xBF"}},
      {"camelCase ABCd HTTPServer", {"camel", "Case", " ABCd", " HTTPServer"}, {"camelCase", " ABCd", " HTTPServer"}},
      {"1234567", {"123", "456", "7"}, {"123", "456", "7"}},
      {"a  b", {"a", " ", " b"}, {"a", " ", " b"}},
      {"a  \n  b", {"a", "  \n", " ", " b"}, {"a", "  \n", " ", " b"}},
      {"a\r\n\r\nb \n", {"a", "\r\n\r\n", "b", " \n"}, {"a", "\r\n\r\n", "b", " \n"}},
      {"x   ", {"x", "   "}, {"x", "   "}},
      {"(foo)\n/bar", {"(foo", ")\n/", "bar"}, {"(foo", ")\n", "/bar"}},
      {" ...\n", {" ...\n"}, {" ...\n"}},
      {"e\xCC\x81t", {"e\xCC\x81t"}, {"e", "\xCC\x81t"}},
      {"\xCC\x81\x41\x42", {"\xCC\x81", "AB"}, {"\xCC\x81\x41\x42"}},  // a mark may end a small word, or begin a big one
      {"\xE6\xBC\xA2\xE5\xAD\x97", {"\xE6\xBC\xA2\xE5\xAD\x97"}, {"\xE6\xBC\xA2\xE5\xAD\x97"}},
      {"\tx\xC2\x85", {"\tx", "\xC2\x85"}, {"\tx", "\xC2\x85"}},
      {"<|endoftext|>", {"<|", "endoftext", "|>"}, {"<|", "endoftext", "|>"}},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(pieces(Encoding::o200k_base, one.text), one.o200k) << one.text;
    EXPECT_EQ(pieces(Encoding::cl100k_base, one.text), one.cl100k) << one.text;
  }
}

TEST(Splitter, LosesNoByteOfWhatIsNoUtf8) {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random() % 4 == 0 ? 0xC0 + random() % 64 : random());
    for (const Encoding encoding : {Encoding::o200k_base, Encoding::cl100k_base}) {
      std::string joined;
      for (const std::string& piece : pieces(encoding, text)) {
        EXPECT_FALSE(piece.empty());
        joined += piece;
      }
      EXPECT_EQ(joined, text);
    }
  }
}

TEST(PieceMerger, ScanHeapAndWindowsAgree) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> tokens;
    for (int i = 0; i < 60; ++i) {
      std::string token(2 + random() % 5, 'a');
      for (char& c : token) c = static_cast<char>('a' + random() % 3);
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
    }
    const Vocabulary vocabulary = small_vocabulary(Encoding::cl100k_base, tokens);
    PieceMerger merger(vocabulary, 1);  // windows as short as they can be
    for (const std::size_t length : {1, 2, 7, 96, 1500}) {
      std::string piece(length, 'a');
      for (char& c : piece) c = static_cast<char>('a' + random() % (round % 3 + 1));
      std::vector<std::uint32_t> heap, windows;
      merger.by_heap(piece, heap);
      merger.by_windows(piece, windows);
      EXPECT_EQ(heap, windows) << piece;
      if (length <= PieceMerger::longest_short) {
        EXPECT_EQ(merger.by_scan(piece), heap.size()) << piece;
      }
    }
  }
}

TEST(PieceMerger, TheLowestRankGoesFirstAndTheFirstOfEquals) {
  const Vocabulary vocabulary = small_vocabulary(Encoding::cl100k_base, {"bc", "ab", "aa"});
  PieceMerger merger(vocabulary);
  EXPECT_EQ(merger.ends("abc"), (std::vector<std::uint32_t>{1, 3}));
  EXPECT_EQ(merger.ends("aaa"), (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(merger.count(""), 0U);
}

TEST(Vocabulary, IsRefusedUnlessItIsWhole) {
  EXPECT_THROW(Vocabulary(Encoding::o200k_base, ""), std::runtime_error);
  EXPECT_THROW(Vocabulary(Encoding::o200k_base, "IQ== 0\nIg== 1\n"), std::runtime_error);
  EXPECT_THROW(Vocabulary(Encoding::o200k_base, "IQ==\n"), std::runtime_error);
  EXPECT_THROW(Vocabulary(Encoding::o200k_base, "<html>\n", 1), std::runtime_error);
  std::string complaint;
  const Vocabularies missing("/nonexistent", [&complaint](const std::string& problem) { complaint += problem + "\n"; });
  EXPECT_EQ(missing.get(Encoding::o200k_base), nullptr);
  EXPECT_EQ(missing.get(Encoding::o200k_base), nullptr);
  EXPECT_EQ(complaint, "/nonexistent/o200k_base.tiktoken: it cannot be read\n") << "once";
  EXPECT_EQ(Vocabularies(find_vocabulary_dir("none")).get(Encoding::cl100k_base), nullptr);
}

TEST(Encoding, ModelsHaveTheOnesThatOpenAiGivesThem) {
  for (const char* model :
       {"gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4.1-nano", "gpt-4.5-preview", "gpt-5", "gpt-5.1-mini", "o1", "o3-mini",
        "o4-mini", "chatgpt-4o-latest", "ft:gpt-4o-mini-2024-07-18:org::id", "GPT-4o", "my-deployment", ""}) {
    EXPECT_EQ(encoding_of(model), Encoding::o200k_base) << model;
  }
  for (const char* model : {"gpt-4", "gpt-4-0613", "gpt-4-32k", "gpt-4-turbo-2024-04-09", "gpt-3.5-turbo", "gpt-35-turbo-16k",
                            "text-embedding-3-small", "text-embedding-ada-002", "ft:gpt-3.5-turbo:org:name:id", "davinci-002"}) {
    EXPECT_EQ(encoding_of(model), Encoding::cl100k_base) << model;
  }
  EXPECT_EQ(parse_encoding("o200k_base"), Encoding::o200k_base);
  EXPECT_EQ(parse_encoding("o200k"), std::nullopt);
}

TEST(Tokenizer, CountsWhatItEncodesAlsoWhenItRemembers) {
  const Vocabulary vocabulary = small_vocabulary(Encoding::o200k_base, {"aa", " a", "ab", "aaaa", "cab", "aaaaaaaa", " aab"});
  Tokenizer tokenizer(vocabulary);
  EXPECT_EQ(tokenizer.encode("aab aab").size(), 3U) << "aa, b, and a token with its blank";
  EXPECT_EQ(tokenizer.count("<|endoftext|>"), 13) << "ordinary text";
  EXPECT_EQ(tokenizer.count(std::string(1 << 20, 'a')), (1 << 20) / 8);
  std::mt19937 random(3);  // known pieces are remembered rightly
  for (int round = 0; round < 20'000; ++round) {
    std::string word = " ";
    for (int i = 0; i < 8; ++i) word += static_cast<char>('a' + random() % 4);
    ASSERT_EQ(tokenizer.count(word), static_cast<Tokens>(tokenizer.encode(word).size())) << word;
  }
}

}  // namespace
}  // namespace batchd
