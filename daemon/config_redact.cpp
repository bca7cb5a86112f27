// A database's address without its password, in both forms that libpq reads. Hides too much rather than too little where the text
// is not quite as libpq would have it.
#include "config.hpp"
#include "core/lowered.hpp"

#include <algorithm>

namespace batchd {
namespace {

constexpr std::string_view hidden = "***";

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// `password`, `sslpassword`; a name with an escape in it could be either.
bool is_secret(std::string_view name) {
  return lowered(name).find("password") != std::string::npos || name.find('%') != std::string_view::npos;
}

/// `postgresql://user:secret@host/database?password=secret`.
std::string redacted_uri(std::string_view url, std::size_t authority) {
  std::string out(url);
  const auto at = out.rfind('@');  // of several the last one: a password with an @, a / or a ? in it should have been escaped
  const auto colon = out.find(':', authority);
  if (at != std::string::npos && colon < at) out.replace(colon + 1, at - colon - 1, hidden);
  for (auto name = out.find('?', authority); name != std::string::npos;) {
    ++name;
    const auto end = std::min(out.find('&', name), out.size());
    const auto equals = out.find('=', name);
    if (equals < end && is_secret(std::string_view(out).substr(name, equals - name)))
      out.replace(equals + 1, end - equals - 1, hidden);
    name = out.find('&', name);
  }
  return out;
}

/// Behind the value that begins at `at`: quoted or up to a blank, a backslash before any character taking it as it is.
std::size_t end_of_value(std::string_view text, std::size_t at) {
  const bool quoted = at < text.size() && text[at] == '\'';
  if (quoted) ++at;
  for (; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (quoted && text[at] == '\'') {
      return at + 1;
    } else if (!quoted && is_blank(text[at])) {
      return at;
    }
  }
  return text.size();
}

/// `host=h password = 'secret'`.
std::string redacted_words(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto equals = std::min(text.find('=', at), text.size());
    std::size_t value = std::min(equals + 1, text.size());
    while (value < text.size() && is_blank(text[value])) ++value;
    const auto end = end_of_value(text, value);
    const std::string_view name = text.substr(at, equals - at);
    out += text.substr(at, value - at);
    out += is_secret(name) ? hidden : text.substr(value, end - value);
    at = end;
  }
  return out;
}

}  // namespace

std::string redact_url(std::string_view url) {
  const auto scheme = url.find("://");
  // In the other form this can only stand within a value.
  const bool uri = scheme != std::string_view::npos && url.substr(0, scheme).find('=') == std::string_view::npos;
  return uri ? redacted_uri(url, scheme + 3) : redacted_words(url);
}

}  // namespace batchd
