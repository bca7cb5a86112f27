// What a request's body says to the fake cloud, and how its answer shows whose it is. Bodies may ask for trouble by a word
// anywhere in them, written `cloud:<word>`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace batchd::simulation {

/// What a body asks for.
enum class BodyWish : unsigned char {
  answer,         ///< nothing special
  poison,         ///< `cloud:poison`: the batch fails validation with this line's number
  poison_silent,  ///< `cloud:silent`: the batch fails validation without a line
  poison_create,  ///< `cloud:create`: a batch on the file is refused
  poison_upload,  ///< `cloud:upload`: the file is refused
  refused,        ///< `cloud:refused`: the line ends with 400 whenever it runs
};
BodyWish wish_of(std::string_view body);

/// The same for a body as producers give it and as it stands in a line: everything but its top-level model.
std::uint64_t prompt_hash(std::string_view body);

/// What an answer of the cloud (`response` as stored) says of itself.
struct AnswerMark {
  std::uint64_t prompt = 0;  ///< the hash of what it answers
  std::size_t run = 0;       ///< which run in the ledger gave it
};
/// Nothing for a text that no cloud has written.
std::optional<AnswerMark> mark_of(std::string_view response);

}  // namespace batchd::simulation
