#include "simulation/cloud/lines.hpp"

#include <array>

namespace batchd::simulation {
namespace {

void append_hex(std::string& out, std::uint64_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out += digits[(value >> shift) & 15];
}

void begin(std::string& out, std::string_view custom_id) {
  out += R"({"id":"batch_req","custom_id":")";
  out += custom_id;
  out += '"';
}

void begin_response(std::string& out, std::string_view custom_id, int status) {
  begin(out, custom_id);
  out += R"(,"response":{"status_code":)";
  out += std::to_string(status);
  out += R"(,"request_id":"r","body":)";
}

}  // namespace

void append_answer(std::string& out, std::string_view custom_id, const std::string& model, const InputLine& line,
                   std::size_t run) {
  begin_response(out, custom_id, 200);
  out += R"({"id":"run-)";
  out += std::to_string(run);
  out += R"(","object":"chat.completion","model":")";
  out += model;
  out += R"(","choices":[{"index":0,"message":{"role":"assistant","content":"prompt:)";
  append_hex(out, line.prompt);
  out += R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":)";
  out += std::to_string(line.tokens);
  out += R"(,"completion_tokens":6}}},"error":null})";
  out += '\n';
}

void append_failure(std::string& out, std::string_view custom_id, int status, std::string_view code) {
  begin_response(out, custom_id, status);
  out += R"({"error":{"code":")";
  out += code;
  out += R"(","message":"it failed"}}},"error":null})";
  out += '\n';
}

void append_error(std::string& out, std::string_view custom_id, std::string_view code) {
  begin(out, custom_id);
  out += R"(,"response":null,"error":{"code":")";
  out += code;
  out += R"(","message":"it did not run to its end"}})";
  out += '\n';
}

void append_empty(std::string& out, std::string_view custom_id, int status) {
  begin_response(out, custom_id, status);
  out += "null},\"error\":null}\n";
}

void append_dirt(std::string& out, int kind) {
  static constexpr std::array<std::string_view, 4> kinds{"\n", "not JSON {\n", "[1,null]\n", "{\"custom_id\":7}\n"};
  out += kinds[static_cast<std::size_t>(kind)];
}

}  // namespace batchd::simulation
