// The framing of a multipart/form-data body around one file (RFC 7578). Pure text; the file's bytes go between the two.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace batchd {

struct MultipartFrame {
  std::string content_type;  ///< of the whole body, with its boundary
  std::string head;          ///< everything before the file's bytes
  std::string tail;          ///< everything after them
};

/// `boundary` must not occur in the file: 32 random letters will not.
MultipartFrame make_multipart(const std::vector<std::pair<std::string, std::string>>& fields, std::string_view file_field,
                              std::string_view filename, std::string_view file_content_type, std::string_view boundary);

}  // namespace batchd
