// JSON as Boost.JSON's tree reads it: the slow second opinion that fuzz targets compare the scan in core/json_scan with.
#pragma once

#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace batchd::fuzz {

struct Reference {
  /// The two are known to differ here, and neither is wrong: nesting near the scan's limit, or an exponent that no double
  /// and no int holds. RFC 8259 leaves both to the reader.
  bool comparable = true;
  /// Nothing when the text is no JSON. Escaped surrogates, which the tree refuses when they stand alone and the scan passes on,
  /// are read as the letter A.
  std::optional<boost::json::value> value;
};
Reference read_reference(std::string_view text);

/// The text with every escaped surrogate replaced by an escaped A.
std::string without_surrogates(std::string_view text);

/// True when every byte belongs to well-formed UTF-8, found by decoding code points one by one.
bool reference_utf8(std::string_view text);

/// Members of the object, names that occur twice counted twice; by the scan.
std::size_t count_members(std::string_view object);

}  // namespace batchd::fuzz
