#include "runtime/multipart.hpp"

namespace batchd {
namespace {

/// Quotes and line breaks would end the parameter early; browsers percent-encode just these.
std::string quoted_parameter(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') {
      out += "%22";
    } else if (c == '\r') {
      out += "%0D";
    } else if (c == '\n') {
      out += "%0A";
    } else {
      out += c;
    }
  }
  return out += '"';
}

}  // namespace

MultipartFrame make_multipart(const std::vector<std::pair<std::string, std::string>>& fields, std::string_view file_field,
                              std::string_view filename, std::string_view file_content_type, std::string_view boundary) {
  const std::string delimiter = "--" + std::string(boundary);
  MultipartFrame frame;
  frame.content_type = "multipart/form-data; boundary=" + std::string(boundary);
  for (const auto& [name, value] : fields) {
    frame.head += delimiter + "\r\nContent-Disposition: form-data; name=" + quoted_parameter(name) + "\r\n\r\n" + value + "\r\n";
  }
  frame.head += delimiter + "\r\nContent-Disposition: form-data; name=" + quoted_parameter(file_field) +
                "; filename=" + quoted_parameter(filename) + "\r\nContent-Type: " + std::string(file_content_type) + "\r\n\r\n";
  frame.tail = "\r\n" + delimiter + "--\r\n";
  return frame;
}

}  // namespace batchd
