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

/// Answers that answer nothing; empty for the other kinds.
std::string_view odd_response(Outcome outcome) {
  switch (outcome) {
    case Outcome::error_200:
      return R"({"status_code":200,"request_id":"","body":{"error":{"message":"Something broke.","code":"server_error"}}})";
    case Outcome::empty_body:
      return R"({"status_code":200,"request_id":"","body":{}})";
    case Outcome::status_0_null:
      return R"({"status_code":0,"request_id":"","body":null})";
    case Outcome::neither:
      return "null";
    default:
      return {};
  }
}

/// Changes inside of the answer's own line.
void change_line(std::string& line, Outcome outcome) {
  constexpr std::string_view content = " echo:", not_utf8 = "\xFF\xC3(";
  if (outcome == Outcome::bad_utf8 || outcome == Outcome::bad_utf8_answer) insert_after(line, content, not_utf8);
  if (outcome == Outcome::surrogate) insert_after(line, content, R"(\ud800)");
  if (outcome == Outcome::nul) insert_after(line, content, R"(\u0000)");
  if (outcome == Outcome::same_id) set_line_id(line, R"("id":"batch_req_same",)");
  if (outcome == Outcome::no_id) set_line_id(line, "");
  if (outcome == Outcome::float_time) make_time_float(line);
  if (outcome == Outcome::filtered) replace(line, R"("finish_reason":"stop")", R"("finish_reason":"content_filter")");
  if (outcome == Outcome::deep)
    insert_after(line, "\"body\":{", "\"deep\":" + std::string(depth, '[') + std::string(depth, ']') + ',');
  if (const auto response = odd_response(outcome); !response.empty()) respond(line, response);
}

std::string soiled(const std::string& clean, Outcome outcome) {
  std::string line = clean;
  change_line(line, outcome);
  if (outcome == Outcome::bad_utf8) return line + clean;
  if (outcome == Outcome::blank_lines) return '\n' + clean + " \n\n";
  if (outcome == Outcome::crlf) line.insert(line.size() - 1, 1, '\r');
  if (outcome == Outcome::not_object) return "[\"not an object\"]\n42\n\"text\"\nnull\n{}\n{\"custom_id\":7}\n" + clean;
  return line;
}

}  // namespace

void soil(std::string& out, std::size_t start, Outcome outcome) {
  const std::string dirty = soiled(out.substr(start), outcome);
  out.replace(start, std::string::npos, dirty);
}

}  // namespace sim
