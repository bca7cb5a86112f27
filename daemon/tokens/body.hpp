// Counts the tokens that a request's body will be counted as by the provider: what its texts are, exactly, and what surrounds
// them by the rules that are known. PROTOCOL: 3 tokens a message and its role and content, 1 more with a name, 3 for the reply.
#pragma once

#include "core/types.hpp"
#include "tokens/images.hpp"
#include "tokens/tokenizer.hpp"

#include <string>
#include <string_view>

namespace batchd {

/// What a request is, where the body alone does not say it.
struct BodyKind {
  std::string model;     ///< for bodies without one, and what images cost; a deployment's name tells nothing
  std::string endpoint;  ///< such as `/v1/embeddings`; "" when it is not known
};

/// Reads bodies in place, never throws on odd ones: whatever it does not know counts as its text. Tools and response formats
/// count as their JSON, which is on the high side; images by their size (images.hpp). Numbers, truth values and settings that are
/// no part of the prompt count nothing.
class BodyCounter {
 public:
  BodyCounter(const Vocabulary& vocabulary, BodyKind kind);

  Tokens count(std::string_view body);
  /// Of a plain text.
  Tokens count_text(std::string_view text) { return tokenizer_.count(text); }

 private:
  Tokens text(std::string_view raw);    // of a JSON string, else of the JSON itself
  Tokens extras(std::string_view raw);  // of a member that is no setting we know: numbers and the like are nothing
  Tokens chat(std::string_view messages);
  Tokens responses(std::string_view input);
  Tokens prompt(std::string_view raw);  // a text, texts, token numbers, lists of them
  Tokens message(std::string_view raw);
  Tokens content(std::string_view raw);
  Tokens part(std::string_view raw);
  Tokens call(std::string_view raw);
  Tokens format(std::string_view raw);
  Tokens image(std::string_view raw_part, std::string_view raw_image);
  Tokens member_of_body(std::string_view key, std::string_view value, bool embeds);

  Tokenizer tokenizer_;
  BodyKind kind_;
  ImagePrice price_;
};

}  // namespace batchd
