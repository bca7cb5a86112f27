// Reads what providers send, in every spelling that has been seen (PROTOCOL.md 2, 5, 6, 8, 9, 10, 17).
// Pure: texts in, values out; unknown members and words are passed over, never an error.
#pragma once

#include "core/batch.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace batchd {

/// A batch object; nothing unless it is an object with an id.
std::optional<Batch> parse_batch(std::string_view body);
/// A List answer: `data` or `value`, cursor fields anywhere or nowhere. Items without an id are passed over.
std::optional<BatchPage> parse_batch_page(std::string_view body);
std::optional<RemoteFile> parse_file(std::string_view body);
std::optional<FilePage> parse_file_page(std::string_view body);

/// True for the answer to a delete that says `"deleted": false` in so many words.
bool says_not_deleted(std::string_view body);

/// Unix seconds from a number, a numeric text or an ISO-8601 text with any number of decimals and an offset.
std::optional<std::int64_t> parse_unix_time(std::string_view text);

/// What an error body says. All "" when the body is not a readable error object.
struct ErrorBody {
  bool readable = false;  ///< it is JSON with an `error` in it: the provider itself has spoken
  std::string code;
  std::string type;
  std::string param;
  std::string message;
  std::string inner_code;  ///< `innererror.code` (dated Azure) or `inner_error.code` (v1), innermost
};
ErrorBody parse_error_body(std::string_view body);

}  // namespace batchd
