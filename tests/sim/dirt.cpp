#include "dirt.hpp"

#include <cctype>
#include <string_view>

namespace sim {
namespace {

constexpr std::size_t depth = 2000;

void insert_after(std::string& line, std::string_view mark, std::string_view text) {
  const auto at = line.find(mark);
  if (at != std::string::npos) line.insert(at + mark.size(), text);
}

void replace(std::string& line, std::string_view old, std::string_view text) {
  const auto at = line.find(old);
  if (at != std::string::npos) line.replace(at, old.size(), text);
}

/// Everything after the custom_id anew.
void respond(std::string& line, std::string_view response) {
  line.erase(line.find("\"response\":"));
  line += "\"response\":";
  line += response;
  line += ",\"error\":null}\n";
}

/// The line's own id, which OpenAI writes and Azure does not.
void set_line_id(std::string& line, std::string_view id) {
  const auto first = line.find("\"custom_id\"");
  line.erase(1, first - 1);
  line.insert(1, id);
}

void make_time_float(std::string& line) {
  auto at = line.find("\"created");
  if (at == std::string::npos) return;
  at = line.find(':', at) + 1;
  while (std::isdigit(static_cast<unsigned char>(line[at])) != 0) ++at;
  line.insert(at, ".0");
}

std::string soiled(std::string line, Outcome outcome) {
  constexpr std::string_view not_utf8 = "\xFF\xC3(";
  const std::string clean = line;
  switch (outcome) {
    case Outcome::bad_utf8:
      insert_after(line, " echo:", not_utf8);
      return line + clean;
    case Outcome::bad_utf8_answer:
      insert_after(line, " echo:", not_utf8);
      return line;
    case Outcome::blank_lines:
      return '\n' + line + " \n\n";
    case Outcome::crlf:
      line.insert(line.size() - 1, 1, '\r');
      return line;
    case Outcome::same_id:
      set_line_id(line, R"("id":"batch_req_same",)");
      return line;
    case Outcome::no_id:
      set_line_id(line, "");
      return line;
    case Outcome::surrogate:
      insert_after(line, " echo:", R"(\ud800)");
      return line;
    case Outcome::nul:
      insert_after(line, " echo:", R"(\u0000)");
      return line;
    case Outcome::deep:
      insert_after(line, "\"body\":{", "\"deep\":" + std::string(depth, '[') + std::string(depth, ']') + ',');
      return line;
    case Outcome::not_object:
      return "[\"not an object\"]\n42\n\"text\"\nnull\n{}\n{\"custom_id\":7}\n" + clean;
    case Outcome::float_time:
      make_time_float(line);
      return line;
    case Outcome::filtered:
      replace(line, R"("finish_reason":"stop")", R"("finish_reason":"content_filter")");
      return line;
    case Outcome::error_200:
      respond(
          line,
          R"({"status_code":200,"request_id":"","body":{"error":{"message":"The server had an error.","code":"server_error"}}})");
      return line;
    case Outcome::empty_body:
      respond(line, R"({"status_code":200,"request_id":"","body":{}})");
      return line;
    case Outcome::status_0_null:
      respond(line, R"({"status_code":0,"request_id":"","body":null})");
      return line;
    case Outcome::neither:
      respond(line, "null");
      return line;
    default:
      return line;
  }
}

}  // namespace

void soil(std::string& out, std::size_t start, Outcome outcome) {
  const std::string dirty = soiled(out.substr(start), outcome);
  out.replace(start, std::string::npos, dirty);
}

}  // namespace sim
