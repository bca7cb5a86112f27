// The estimate of tokens that quotas are kept by: never less than a quarter of the bytes, never more than twice their number;
// more text never costs less; a text cut in two never costs less than the whole but for the seam. Input: the text; its first byte
// says where it is cut.
#include "core/tokens.hpp"
#include "harness.hpp"

namespace batchd::fuzz {

void check(std::string_view input) {
  if (input.empty()) return;
  const std::size_t cut = static_cast<unsigned char>(input.front()) % input.size();
  const std::string_view text = input.substr(1);
  const Tokens whole = estimate_tokens(text);
  const auto bytes = static_cast<Tokens>(text.size());
  holds(4 * whole >= bytes && whole <= 2 * bytes, "between a quarter of the bytes and twice as many");
  const Tokens head = estimate_tokens(text.substr(0, cut));
  const Tokens tail = estimate_tokens(text.substr(cut));
  holds(head <= whole, "more text never costs less");
  holds(whole <= head + tail + 1, "parts never cost less than the whole, but for the seam");
}

}  // namespace batchd::fuzz
