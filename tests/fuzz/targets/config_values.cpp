// Durations, sizes, counts and addresses as the configuration spells them: what is read and written again is the same value, in a
// spelling that is no longer; nothing negative and nothing that overflows is read; the distance of two names is a distance.
// Input: two texts, with a line break between them.
#include "config_values.hpp"
#include "config.hpp"
#include "harness.hpp"
#include "reference_text.hpp"

#include <arpa/inet.h>

#include <cstdlib>

namespace batchd::fuzz {
namespace {

void check_values(std::string_view text) {
  if (const auto value = parse_duration(text))
    holds(value->count() >= 0 && parse_duration(format_duration(*value)) == value, "a duration");
  if (const auto value = parse_size(text)) holds(*value >= 0 && parse_size(format_size(*value)) == value, "a size");
  if (const auto value = parse_count(text)) holds(*value >= 0 && parse_count(format_count(*value)) == value, "a count");
  const auto integer = parse_integer(text);
  if (integer) holds(std::strtoll(std::string(text).c_str(), nullptr, 10) == *integer, "a whole number");
  if (const auto count = parse_count(text); integer && *integer >= 0) holds(count == integer, "a number alone is a count");
}

void check_listen(std::string_view text) {
  const auto listen = parse_listen(text);
  if (!listen) return;
  in6_addr address{};
  const bool v4 = inet_pton(AF_INET, listen->host.c_str(), &address) == 1;
  holds(v4 || inet_pton(AF_INET6, listen->host.c_str(), &address) == 1, "a host to listen on is an address");
  const std::string again = (v4 ? listen->host : '[' + listen->host + ']') + ':' + std::to_string(listen->port);
  const auto reread = parse_listen(again);
  holds(reread && reread->host == listen->host && reread->port == listen->port, "and is read again as the same");
}

}  // namespace

void check(std::string_view input) {
  const auto line = input.find('\n');
  const std::string_view a = input.substr(0, line);
  const std::string_view b = line == std::string_view::npos ? std::string_view{} : input.substr(line + 1);
  check_values(a);
  check_listen(a);
  holds(in_quotes(a).size() <= 4 * 60 + 5, "a value is shown short");
  if (reference_utf8(a)) holds(shown_on_one_line(in_quotes(a)), "and on one line, whole characters only");
  if (a.size() > 80 || b.size() > 80) return;
  const std::size_t distance = edit_distance(a, b);
  holds(distance == edit_distance(b, a), "from one to the other it is as far as back");
  holds((distance == 0) == (a == b), "only the same is near");
  holds(distance <= std::max(a.size(), b.size()) && distance + std::min(a.size(), b.size()) >= std::max(a.size(), b.size()),
        "and it is no less than the lengths differ, no more than the longer one");
}

}  // namespace batchd::fuzz
