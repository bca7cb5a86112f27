// Counting bodies: never a crash or a negative number, whatever the body; a body counts the same as a line's `body`; by single
// bytes a body without images is never more than its own text and its framing. Input: the body; its first byte chooses the kind.
#include "core/json_scan.hpp"
#include "harness.hpp"
#include "support/vocabularies.hpp"
#include "tokens/counter.hpp"

#include <algorithm>

namespace batchd::fuzz {

void check(std::string_view input) {
  static const Vocabulary bytes = test::small_vocabulary(Encoding::o200k_base);
  if (input.empty()) return;
  const auto choice = static_cast<unsigned char>(input.front());
  const BodyKind kinds[] = {
      {"gpt-4o", ""}, {"gpt-4.1-mini", "/v1/responses"}, {"text-embedding-3-small", "/v1/embeddings"}, {"", ""}};
  const std::string_view body = input.substr(1);
  BodyCounter counter(bytes, kinds[choice % 4]);
  const Tokens tokens = counter.count(body);
  holds(tokens >= 0, "a count is no less than nothing");
  holds(counter.count(body) == tokens, "the same body, the same count");
  // At most three tokens of framing for each of its messages, calls and roles, none of which is shorter than two bytes.
  const bool picture = body.find("image") != std::string_view::npos || body.find('\\') != std::string_view::npos;
  holds(picture || tokens <= 8 + 3 * static_cast<Tokens>(body.size()), "little more than its text");
  if (!valid_json(body)) holds(tokens == static_cast<Tokens>(body.size()), "what is no JSON counts as its text");

  TokenCounter guess(nullptr, kinds[choice % 4]);
  guess.add(body);
  holds(guess.total().lines == 1 && guess.total().bound == 0, "without a vocabulary an estimate");
}

}  // namespace batchd::fuzz
