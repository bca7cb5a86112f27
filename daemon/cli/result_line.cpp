#include "cli/result_line.hpp"

#include "core/json_scan.hpp"

namespace batchd {
namespace {

/// JSON text on one line: a line break can only stand between tokens, where a blank means the same.
void append_json(std::string& out, std::string_view json) {
  const std::size_t start = out.size();
  out += json;
  for (std::size_t i = start; i < out.size(); ++i) {
    if (out[i] == '\n' || out[i] == '\r') out[i] = ' ';
  }
}

}  // namespace

void append_result_line(std::string& out, const ResultRow& row) {
  out += R"({"id":"batch_req_)" + std::to_string(row.request.value) + R"(","custom_id":)" + json_quote(row.custom_id());
  out += R"(,"response":)";
  if (row.response) {
    out += R"({"status_code":)" + (row.status_code ? std::to_string(*row.status_code) : "null");
    out += R"(,"request_id":)" + (row.provider_request_id ? json_quote(*row.provider_request_id) : "null");
    out += R"(,"body":)";
    append_json(out, *row.response);
    out += '}';
  } else {
    out += "null";
  }
  out += R"(,"error":)";
  append_json(out, row.error ? std::string_view(*row.error) : std::string_view("null"));
  out += "}\n";
}

}  // namespace batchd
