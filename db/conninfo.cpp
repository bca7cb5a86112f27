#include "db/conninfo.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

namespace batchd {
namespace {

std::string in_quotes(std::string_view value) {
  std::string out(1, '\'');
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  out += '\'';
  return out;
}

}  // namespace

std::string make_conninfo(const std::string& url, Milliseconds connect_timeout) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(url.c_str(), &error),
                                                                             &PQconninfoFree);
  PQfreemem(error);  // not shown: it repeats the URL
  if (!options) {
    throw std::invalid_argument("not a PostgreSQL connection URL (postgresql://user@host:port/database) or keyword list");
  }
  const auto seconds = std::max<std::int64_t>(2, (connect_timeout.count() + 999) / 1000);
  // Dead peers are noticed within seconds, not after the kernel's two hours; sizes of texts are in UTF-8 everywhere.
  const std::array<std::pair<const char*, std::string>, 8> defaults{{{"connect_timeout", std::to_string(seconds)},
                                                                     {"fallback_application_name", "batchd"},
                                                                     {"client_encoding", "UTF8"},
                                                                     {"keepalives_idle", "10"},
                                                                     {"keepalives_interval", "5"},
                                                                     {"keepalives_count", "3"},
                                                                     {"tcp_user_timeout", "30000"},
                                                                     {"target_session_attrs", "read-write"}}};
  std::string out;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    std::string value = option->val == nullptr ? "" : option->val;
    const auto* wanted =
        std::find_if(defaults.begin(), defaults.end(), [&](const auto& d) { return std::strcmp(d.first, option->keyword) == 0; });
    if (value.empty() && wanted != defaults.end()) value = wanted->second;
    if (!value.empty()) out += std::string(option->keyword) + "=" + in_quotes(value) + " ";
  }
  return out;
}

std::string first_line(const std::string& message) {
  std::string line = message.substr(0, message.find('\n'));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.pop_back();
  return line.empty() ? "the database gave no reason" : line;
}

std::string connect_failure(const std::string& message) {
  std::string all;
  for (std::size_t at = 0; at < message.size();) {
    const std::size_t end = std::min(message.find('\n', at), message.size());
    const std::string line = message.substr(at, end - at);
    if (line.starts_with("connection to server")) all += (all.empty() ? "" : "; ") + first_line(line);
    at = end + 1;
  }
  return all.empty() ? first_line(message) : all;
}

}  // namespace batchd
