// Texts that came over the network, made fit for people: one line, at most 500 bytes, storable, and without the secret that was
// sent, whole or cut off at an end, nor anything that looks like a key; a text that is fit already stays as it is. Input: where
// the secret is repeated, as FuzzedDataProvider takes it; the text.
#include "provider/printable.hpp"
#include "harness.hpp"
#include "reference_text.hpp"

#include <fuzzer/FuzzedDataProvider.h>

namespace batchd::fuzz {
namespace {

constexpr std::string_view secret = "Zq7#Vx2!Wk9$";
constexpr std::size_t telling = 5;  // so much of it is too much

bool tells(std::string_view text) {
  for (std::size_t at = 0; at + telling <= secret.size(); ++at) {
    if (text.find(secret.substr(at, telling)) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  const auto place = data.ConsumeIntegralInRange<std::size_t>(0, 2500);
  const bool far = data.ConsumeBool();
  std::string text = data.ConsumeRemainingBytesAsString();
  const std::string stored = storable_text(text);
  holds(storable(stored), "a stored text can be stored");
  holds(!storable(text) || stored == text, "and is left as it is when it can");
  if (tells(text)) return;
  const std::string plain = printable_message(text, secret);
  holds(plain.size() <= 500 && shown_on_one_line(plain), "a message is one line of at most 500 bytes");
  holds(printable_message(plain, secret) == plain, "and fit as it is");
  if (far) text.insert(0, place, ' ');
  text.insert(std::min(place, text.size()), secret);
  holds(!tells(printable_message(text, secret)), "no part of the secret is told");
}

}  // namespace batchd::fuzz
