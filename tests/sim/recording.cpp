#include "recording.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace sim {
namespace {

constexpr std::size_t kept = 16 * 1024;

}  // namespace

Task<std::size_t> RecordedBody::read(std::span<char> into) {
  const std::size_t got = co_await body_.read(into);
  beginning_.append(into.data(), std::min(got, kept - beginning_.size()));
  co_return got;
}

void record_call(const std::string& file, const RequestHead& head, const std::string& body, int status) {
  boost::json::object line{{"method", head.method}, {"path", head.path}, {"status", status}, {"body", body}};
  boost::json::object query;
  for (const auto& [name, value] : head.query) query[name] = value;
  line["query"] = std::move(query);
  boost::json::object headers;
  for (const auto& [name, value] : {std::pair{"content-type", head.content_type}, std::pair{"accept", head.accept}}) {
    if (!value.empty()) headers[name] = value;
  }
  line["headers"] = std::move(headers);
  line["shown"] = !head.api_key.empty() ? "api-key" : head.authorization.empty() ? "nothing" : "bearer";
  if (head.content_length) line["length"] = *head.content_length;
  std::ofstream out(file, std::ios::app);
  if (!(out << boost::json::serialize(line) << '\n' << std::flush)) throw std::runtime_error("cannot write " + file);
}

}  // namespace sim
