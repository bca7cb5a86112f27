// Counts each given file's text, in conversations of 4 KB, and prints the MB/s of the better of two rounds; then how long runs of
// one character take. Processor time, so that others on the machine matter less.
#include "tokens/tokenizer.hpp"
#include "tokens/vocabularies.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

int main(int argc, char** argv) {
  using namespace batchd;
  const auto milliseconds = [](std::clock_t since) { return static_cast<double>(std::clock() - since) * 1e3 / CLOCKS_PER_SEC; };
  if (argc < 3) return 2;
  const Vocabularies vocabularies(argv[1], [](const std::string& problem) { std::fprintf(stderr, "%s\n", problem.c_str()); });
  for (const Encoding encoding : {Encoding::o200k_base, Encoding::cl100k_base}) {
    const auto loading = std::clock();
    const Vocabulary* vocabulary = vocabularies.get(encoding);
    if (!vocabulary) return 1;
    const char* const name = to_string(encoding).data();
    std::printf("batchd %s load: %.0f ms, %.1f MB resident\n", name, milliseconds(loading),
                static_cast<double>(vocabulary->resident()) / 1e6);
    for (int i = 2; i < argc; ++i) {
      std::ifstream in(argv[i], std::ios::binary);
      std::ostringstream text;
      text << in.rdbuf();
      double best = 1e12;
      Tokens tokens = 0;
      for (int round = 0; round < 2; ++round) {
        Tokenizer tokenizer(*vocabulary);
        const auto start = std::clock();
        tokens = 0;
        for (std::string_view rest = text.view(); !rest.empty();) {
          std::size_t cut = std::min<std::size_t>(rest.size(), 4096);
          while (cut < rest.size() && (rest[cut] & 0xC0) == 0x80) ++cut;
          tokens += tokenizer.count(rest.substr(0, cut));
          rest.remove_prefix(cut);
        }
        best = std::min(best, milliseconds(start));
      }
      std::printf("batchd %s %s: %.1f MB/s (%lld tokens)\n", name, argv[i], static_cast<double>(text.view().size()) / 1e3 / best,
                  static_cast<long long>(tokens));
    }
    for (const std::size_t megabytes : {1, 4}) {
      for (const char c : {'a', ' ', '\n', '='}) {
        Tokenizer tokenizer(*vocabulary);
        const auto start = std::clock();
        const Tokens tokens = tokenizer.count(std::string(megabytes << 20, c) + "x");
        std::printf("batchd %s %zu MB of '%s': %.0f ms (%lld tokens)\n", name, megabytes,
                    c == '\n' ? "\\n" : std::string(1, c).c_str(), milliseconds(start), static_cast<long long>(tokens));
      }
    }
  }
}
