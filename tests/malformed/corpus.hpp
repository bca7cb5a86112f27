// The malformed inputs of cases/*.txt, one a line, each with the verdict it must end in (README.md has the notation).
// Read-only; a file that breaks the notation is an error that names its line, never a case passed over.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace batchd::testing {

struct MalformedCase {
  std::string name;
  std::string verdict;
  std::string notation;                 ///< the input as written, fragments filled in
  int line = 0;                         ///< in the kind's file
  std::size_t cut = std::string::npos;  ///< only so many bytes of it: a case made by `prefixes`

  /// The input itself; a giant is made here and nowhere kept.
  std::string input() const;
};

struct MalformedKind {
  std::filesystem::path file;
  std::vector<MalformedCase> cases;
  std::map<std::string, std::string> verdicts;  ///< first word of a verdict -> what it means
};

/// Reads cases/`kind`.txt. Throws std::runtime_error.
MalformedKind read_kind(const std::string& kind);
/// All of them, in order of their names.
std::vector<std::string> malformed_kinds();
/// What stands before the first `:` or `,` of a verdict: the word that the file's head explains.
std::string_view verdict_word(std::string_view verdict);

/// Fails, at its line in the file, for each case whose verdict `judge` does not share. BATCHD_MALFORMED_LARGEST, in bytes: larger
/// inputs are left out and counted aloud, for builds in which giants take minutes.
void expect_verdicts(const std::string& kind, const std::function<std::string(const MalformedCase&)>& judge);

}  // namespace batchd::testing
