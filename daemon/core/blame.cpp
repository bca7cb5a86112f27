#include "core/blame.hpp"

#include "core/output_line.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>

namespace batchd {
namespace {

/// What a row's own content can cause.
constexpr std::array<std::string_view, 5> codes_of_rows{"invalid_json_line", "invalid_request", "jsonlValidationFailed",
                                                        "contentFilter", "content_filter"};

}  // namespace

std::map<std::int64_t, std::string> blamed_lines(std::string_view shard_error) {
  std::map<std::int64_t, std::string> blamed;
  boost::system::error_code failed;
  const auto error = boost::json::parse(shard_error, failed);
  if (failed || !error.is_object()) return blamed;
  const auto* lines = error.as_object().if_contains("lines");
  if (!lines || !lines->is_array()) return blamed;
  for (const auto& entry : lines->as_array()) {
    const auto& object = entry.as_object();  // of our own making, see core/shard.cpp
    const std::string_view code = object.at("code").as_string();
    if (std::find(codes_of_rows.begin(), codes_of_rows.end(), code) == codes_of_rows.end()) continue;
    blamed[object.at("line").as_int64()] = make_error(code, std::string_view(object.at("message").as_string()));
  }
  return blamed;
}

}  // namespace batchd
