// core/json_scan against Boost.JSON: both call the same texts JSON; an object has the same members with the same values,
// each value a slice of the text; whole numbers are the same; quoting and decoding undo each other; the quick UTF-8 check
// says what a slow one says.
#include "core/json_scan.hpp"
#include "harness.hpp"
#include "reference_json.hpp"

#include <boost/json/parse.hpp>

namespace batchd::fuzz {
namespace {

namespace json = boost::json;

std::string decoded(std::string_view raw_key) {
  return decode_json_string('"' + std::string(raw_key) + '"');
}

void check_integer(std::string_view raw, const json::value& value) {
  if (raw == "-0") return;  // whole to one, a fraction to the other
  const auto read = json_integer(raw);
  holds(read.has_value() == value.is_int64(), "a whole number is one to both");
  if (read) holds(*read == value.get_int64(), "and has the same value");
}

/// `tree` was read from the text with its surrogates replaced; so are the slices before they are compared.
void check_members(std::string_view text, const json::object& tree) {
  JsonObjectReader reader(text);
  json::object members;
  std::size_t count = 0;
  for (JsonMember member; reader.next(member); ++count) {
    holds(member.value.data() >= text.data() && member.value.data() + member.value.size() <= text.data() + text.size(),
          "a value is a slice of the text");
    holds(valid_json(member.value) && member.value.front() != ' ' && member.value.back() != ' ', "and one value without blanks");
    const Reference value = read_reference(member.value);
    holds(value.value.has_value(), "a slice is what the tree reads, too");
    if (value.value->is_number()) check_integer(member.value, *value.value);
    const std::string key = decoded(without_surrogates(member.key));
    holds(json_key_is(without_surrogates(member.key), key), "a key is equal to itself decoded");
    members[key] = *value.value;  // the last one counts
  }
  holds(reader.ok() && count >= members.size(), "the walk over a valid object ends well");
  holds(members == tree, "the walk sees what the tree holds");
  const std::string plain = without_surrogates(text);
  for (const auto& [key, value] : members) {
    const auto found = find_member(plain, key);
    holds(found && *read_reference(*found).value == value, "a member is found by its name, the last of several");
  }
}

void check_strings(std::string_view text) {
  const std::string quoted = json_quote(text);
  holds(decode_json_string(quoted) == text, "decoding undoes quoting");
  const Reference read = read_reference(quoted);
  holds(read.value && read.value->is_string() && std::string_view(read.value->get_string()) == text, "any reader undoes quoting");
}

/// Escapes of which PostgreSQL makes no text are replaced in their places, and nothing else is.
void check_mended(std::string_view text, bool valid) {
  const std::string storable = storable_json(text);
  const std::string mended = mended_json(text);
  holds(storable.size() == text.size() && mended.size() == text.size(), "mending moves nothing");
  holds(valid_json(storable) == valid && valid_json(mended) == valid, "mended JSON is JSON");
  holds(storable_json(storable) == storable && !has_lone_surrogate(mended), "mending leaves nothing to mend");
  if (!valid) return;
  json::parse_options options;
  options.max_depth = max_json_depth;
  options.allow_invalid_utf8 = true;
  boost::system::error_code error;
  const json::value tree = json::parse(mended, error, {}, options);
  holds(!error, "mended JSON is JSON to readers that refuse half a character, too");
  if (const auto* string = tree.if_string(); string && mended.front() == '"')
    holds(decode_json_string(mended.substr(0, mended.rfind('"') + 1)) == std::string_view(*string), "and the same text");
}

}  // namespace

void check(std::string_view input) {
  holds(valid_utf8(input) == reference_utf8(input), "both UTF-8 checks agree");
  if (input.size() < 512 && input.find('[') == std::string_view::npos && input.find('{') == std::string_view::npos) {
    check_strings(input);
  }
  const Reference reference = read_reference(input);
  const bool valid = valid_json(input);
  if (!reference.comparable) return;
  holds(valid == reference.value.has_value(), "both call it JSON, or neither does");
  check_mended(input, valid);
  if (!valid) return;
  if (reference.value->is_object()) {
    check_members(input, reference.value->get_object());
  } else {
    holds(!JsonObjectReader(input).ok() && !find_member(input, "id"), "what is no object has no members");
  }
}

}  // namespace batchd::fuzz
