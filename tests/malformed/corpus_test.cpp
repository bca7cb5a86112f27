// The corpus as a whole: large enough, and no verdict that a file explains without a case that ends in it.
#include "malformed/corpus.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <set>

namespace batchd::testing {
namespace {

TEST(MalformedCorpus, HasFiveHundredCasesAndEveryVerdictOccurs) {
  std::size_t written = 0, made = 0;
  for (const std::string& name : malformed_kinds()) {
    const MalformedKind kind = read_kind(name);
    std::set<std::string> occurring;
    std::size_t own = 0;
    for (const MalformedCase& entry : kind.cases) {
      own += entry.cut == std::string::npos;
      occurring.emplace(verdict_word(entry.verdict));
    }
    for (const auto& [verdict, meaning] : kind.verdicts) {
      EXPECT_TRUE(occurring.contains(verdict)) << name << ": no case ends as " << verdict;
      EXPECT_NE(meaning, "") << name << ": what does " << verdict << " mean?";
    }
    std::cout << name << ": " << own << " cases, and " << kind.cases.size() - own << " by cutting some short\n";
    written += own;
    made += kind.cases.size() - own;
  }
  std::cout << written << " cases in all, and " << made << " by cutting some short\n";
  EXPECT_GE(written, 500U);
}

}  // namespace
}  // namespace batchd::testing
