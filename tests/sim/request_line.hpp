// One line of an input file: what the simulator remembers of a request, and the check of everything that can be seen
// from the line alone (PROTOCOL.md 3). What needs the other lines belongs to InputCheck.
#pragma once

#include "hashing.hpp"
#include "outcome.hpp"
#include "tokens.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sim {

class JsonScanner;
struct RawString;

/// A fault of an input file as it appears in a batch's errors.data (PROTOCOL.md 10).
struct InputError {
  std::string code;
  std::string message;
  std::optional<std::int64_t> line;  ///< counted from 1
  std::optional<std::string> param;
  bool line_as_text = false;  ///< shown as "7" instead of 7
  bool asked_for = false;     ///< by the prompt itself: no fault of the client
};

/// How the line of a request poisons its file; see poison.hpp.
enum class Poison : std::uint8_t { none, line, string_line, silent, create, upload };

/// Fixed in size, so that a file's requests are an array on disk.
struct RequestRecord {
  Sha256 prompt;
  char custom_id_bytes[64];
  char echo_bytes[40];  ///< the prompt's first characters, safe inside a JSON string
  std::uint32_t tokens;
  std::uint8_t custom_id_size;
  std::uint8_t echo_size;
  Outcome outcome;
  std::uint8_t unused;

  std::string_view custom_id() const { return {custom_id_bytes, custom_id_size}; }
  std::string_view echo() const { return {echo_bytes, echo_size}; }
};

class RequestLine {
 public:
  RequestLine(const TokenCounter& counter, bool strict) : counter_(counter), strict_(strict) {}

  /// Reads one line; afterwards either `error()` says what is wrong with it, or the rest describes it.
  void check(std::string_view line);

  const std::optional<InputError>& error() const { return error_; }
  const RequestRecord& record() const { return record_; }
  const std::string& url() const { return url_; }
  const std::string& model() const { return model_; }
  Poison poison() const { return poison_; }

 private:
  bool read_member(JsonScanner& in, const RawString& key);
  bool read_text(JsonScanner& in, std::string& into, const char* what);
  bool read_custom_id(JsonScanner& in);
  bool read_body(JsonScanner& in);
  bool read_body_member(JsonScanner& in, const RawString& key);
  bool read_messages(JsonScanner& in);
  bool read_content(JsonScanner& in);
  bool read_kind(JsonScanner& in, bool prefixed);
  void add_prompt(std::string_view text);
  void finish_prompt(std::string_view body);
  void judge(JsonScanner& in);
  bool refuse(std::string code, std::string message, const char* param);

  const TokenCounter& counter_;
  bool strict_;
  Sha256Hasher hasher_;
  std::string scratch_;
  std::string method_;
  std::string url_;
  std::string model_;
  std::string echo_;
  std::string_view body_;
  RequestRecord record_{};
  std::optional<InputError> error_;
  std::uint64_t prompt_bytes_ = 0;
  bool has_messages_ = false;
  Poison poison_ = Poison::none;
  unsigned seen_ = 0;  ///< a bit for each of custom_id, method, url, body, model
};

}  // namespace sim
