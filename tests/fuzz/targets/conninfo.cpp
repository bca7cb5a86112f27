// A database's URL as libpq reads it: what make_conninfo gives to libpq means what the URL says, with what it leaves open filled
// in, and an error repeats no part of it; redact_url never shows the password that libpq would have sent. Input: the URL.
#include "db/conninfo.hpp"
#include "config.hpp"
#include "harness.hpp"

#include <libpq-fe.h>

#include <map>
#include <memory>
#include <stdexcept>

namespace batchd::fuzz {
namespace {

using Options = std::map<std::string, std::string>;

std::optional<Options> read_by_libpq(const std::string& text) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> read(PQconninfoParse(text.c_str(), &error), &PQconninfoFree);
  PQfreemem(error);
  if (!read) return std::nullopt;
  Options out;
  for (const PQconninfoOption* option = read.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr && *option->val != '\0') out[option->keyword] = option->val;
  }
  return out;
}

/// What is said about any URL that cannot be read.
const std::string& complaint() {
  static const std::string text = [] {
    try {
      return make_conninfo("postgresql://[", std::chrono::seconds(5));
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
  }();
  return text;
}

void check_conninfo(const std::string& url, const std::optional<Options>& said) {
  std::string made;
  try {
    made = make_conninfo(url, std::chrono::seconds(5));
  } catch (const std::invalid_argument& error) {
    holds(!said, "only what libpq cannot read is refused");
    return holds(std::string_view(error.what()) == complaint(), "and not repeated");
  }
  const auto given = read_by_libpq(made);
  holds(said && given, "what libpq gets it can read");
  for (const auto& [key, value] : *said) holds(given->at(key) == value, "and it means what the URL says");
  holds(given->contains("connect_timeout") && given->contains("tcp_user_timeout"), "with time-outs in any case");
}

}  // namespace

void check(std::string_view input) {
  const std::string url(input.substr(0, input.find('\0')));
  const auto said = read_by_libpq(url);
  check_conninfo(url, said);
  const std::string shown = redact_url(url);
  if (!said || !said->contains("password")) return;
  const std::string& password = said->at("password");
  // Of what stands elsewhere in the URL, too, nothing could be hidden; shorter ones are found in any URL.
  if (password.size() < 6 || url.find(password) != url.rfind(password)) return;
  holds(shown.find(password) == std::string::npos, "a password is not shown");
}

}  // namespace batchd::fuzz
