// Answers without success, in words that nobody should use.
#include "core/json_scan.hpp"
#include "malformed/corpus.hpp"
#include "provider/classify.hpp"

#include <gtest/gtest.h>

#include <charconv>
#include <stdexcept>

namespace batchd::testing {
namespace {

Operation operation_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Operation::list_files); ++i) {
    if (to_string(static_cast<Operation>(i)) == name) return static_cast<Operation>(i);
  }
  throw std::runtime_error("no operation " + std::string(name));
}

std::string refusal_verdict(const MalformedCase& tested) {
  const std::string input = tested.input();
  std::string_view rest = input;
  const auto take_word = [&rest] {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    return word;
  };
  const Operation operation = operation_of(take_word());
  const std::string_view status_text = take_word();
  int status = 0;
  std::from_chars(status_text.data(), status_text.data() + status_text.size(), status);
  const ProviderError error = classify(operation, status, {}, rest, {});
  EXPECT_LE(error.message.size(), 500U) << tested.name;
  EXPECT_LE(error.code.size(), 500U) << tested.name;
  for (const std::string& text : {error.message, error.code}) {
    EXPECT_TRUE(valid_utf8(text)) << tested.name;
    for (const char c : text) EXPECT_TRUE(static_cast<unsigned char>(c) >= ' ' && c != 0x7f) << tested.name;
  }
  return std::string(to_string(error.kind));
}

TEST(Malformed, Refusals) {
  expect_verdicts("refusals", refusal_verdict);
}

}  // namespace
}  // namespace batchd::testing
