// Reads JSON in place: where a member's value stands in its text, without building a tree and without changing a byte.
// Strict (RFC 8259; no raw control characters in strings, nesting up to `max_json_depth`), iterative, allocation-free for
// ordinary depths. Bytes above 0x7f are not judged here: check a line once with valid_utf8().
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace batchd {

inline constexpr std::size_t max_json_depth = 512;

/// The end of the value that starts at `at` (no white space before it); nothing when it is malformed.
std::optional<std::size_t> skip_json_value(std::string_view text, std::size_t at);

/// True when the whole text is one JSON value, white space around it allowed.
bool valid_json(std::string_view text);

/// True when every byte belongs to a well-formed UTF-8 sequence (no surrogates, nothing overlong, at most U+10FFFF).
bool valid_utf8(std::string_view text);

struct JsonMember {
  std::string_view key;    ///< between the quotes, escapes as written
  std::string_view value;  ///< the raw value, without white space around it
};

/// Walks the members of one object in order. After `next` has returned false, `ok` tells whether the whole text was one
/// well-formed object.
class JsonObjectReader {
 public:
  explicit JsonObjectReader(std::string_view text);
  bool next(JsonMember& member);
  bool ok() const { return state_ == State::done; }

 private:
  enum class State { first, more, done, broken };
  bool fail() {
    state_ = State::broken;
    return false;
  }
  std::string_view text_;
  std::size_t at_ = 0;
  State state_ = State::first;
};

/// Compares a key as written (escapes allowed) with a plain ASCII name.
bool json_key_is(std::string_view raw_key, std::string_view name);

/// The last value of the named member, as JSON parsers take it; nothing when it is absent or the text is no object.
std::optional<std::string_view> find_member(std::string_view object, std::string_view name);

inline bool is_json_string(std::string_view raw) {
  return raw.size() >= 2 && raw.front() == '"';
}
inline bool is_json_object(std::string_view raw) {
  return !raw.empty() && raw.front() == '{';
}

/// The text of a raw JSON string, quotes included in `raw`; lone surrogates become U+FFFD. "" when it is not a string.
std::string decode_json_string(std::string_view raw);

/// The same JSON, with U+FFFD for every escape that PostgreSQL can store in a `json` but make no text of: U+0000, and
/// surrogates without their other half. As long as before, byte for byte elsewhere.
std::string storable_json(std::string_view json);

/// The same with U+FFFD for lone surrogates only, for parsers that refuse a whole text because of one.
std::string mended_json(std::string_view json);

/// True when a surrogate stands without its other half in the JSON: what it stands for is no text.
bool has_lone_surrogate(std::string_view json);

/// A whole number that fits; nothing for anything else (a string, a fraction, null).
std::optional<long long> json_integer(std::string_view raw);

/// `text` as a JSON string with its quotes.
std::string json_quote(std::string_view text);

}  // namespace batchd
