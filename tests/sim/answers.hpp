// The lines of result files (PROTOCOL.md 7): answers that prove which prompt they belong to, and every kind of failure.
#pragma once

#include "execution.hpp"

#include <cstdint>
#include <string>

namespace sim {

class AnswerWriter {
 public:
  explicit AnswerWriter(const Execution& execution);

  /// Appends what the request at `index` has in `file`: no line, one, or two.
  void append(std::string& out, ResultFile file, std::uint32_t index, const RequestRecord& record, Outcome outcome) const;
  /// Of a successful answer, as its usage says.
  std::uint32_t completion_tokens(Outcome outcome) const { return static_cast<std::uint32_t>((content_bytes(outcome) + 3) / 4); }

 private:
  std::size_t content_bytes(Outcome outcome) const;
  void append_output(std::string& out, std::uint32_t index, const RequestRecord& record, Outcome outcome) const;
  void append_error(std::string& out, std::uint32_t index, const RequestRecord& record, Outcome outcome) const;
  void append_answer(std::string& out, std::string_view custom_id, std::uint32_t index, const RequestRecord& record,
                     Outcome outcome) const;
  void append_failure(std::string& out, std::uint32_t index, const RequestRecord& record, int status,
                      Outcome kind = Outcome::answered) const;
  void append_unanswered(std::string& out, std::uint32_t index, const RequestRecord& record, std::string_view code,
                         std::string_view message) const;
  void open_line(std::string& out, std::string_view custom_id, std::uint64_t number) const;
  void append_content(std::string& out, const RequestRecord& record, Outcome outcome) const;
  void append_body(std::string& out, std::uint64_t number, const RequestRecord& record, Outcome outcome) const;

  const Execution& execution_;
  std::string before_content_;  ///< of a body, after its id
  std::string after_content_;   ///< of a body, before its usage
  std::string after_usage_;
  std::string_view input_name_;  ///< prompt_tokens or input_tokens
  std::string_view output_name_;
};

}  // namespace sim
