#include "cli/run_report.hpp"

#include "cli/context.hpp"
#include "cli/output_file.hpp"
#include "cli/result_line.hpp"

#include <boost/json.hpp>

namespace batchd {
namespace {

constexpr std::size_t longest_message = 160;

std::string printable(std::string text, std::size_t most) {
  if (text.size() > most) {
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
    text = text.substr(0, most) + "…";
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return text;
}

std::string counted(std::int64_t number, const char* what) {
  return grouped(number) + " " + what + (number == 1 ? "" : "s");
}

}  // namespace

void write_results(RunBook& book, const std::string& job, std::int64_t lines, const std::string& output) {
  OutputFile out(output, output + ".unfinished");
  std::int64_t count = 0;
  book.results(job, [&](const ResultRow& row) {
    append_result_line(out.text(), row);
    out.flush_if_large();
    ++count;
    return true;
  });
  if (count != lines) {
    throw CommandError(exit_failure, "only " + grouped(count) + " of " + counted(lines, "result") +
                                         " are in the state: " + "the output is not written");
  }
  out.finish();
}

std::string run_summary(const RunTotals& totals, const std::string& output) {
  std::string out = (output.empty() ? std::string("stdout") : output) + ": " + counted(totals.lines, "line") + ", " +
                    grouped(totals.succeeded) + " answered, " + grouped(totals.failed) + " failed; " +
                    grouped(totals.input_tokens) + " tokens in, " + grouped(totals.output_tokens) + " out";
  for (const FailureGroup& group : totals.failures) {
    out += "\n  " + grouped(group.requests) + " " + group.outcome + ": " + printable(group.code, longest_message);
    if (!group.message.empty()) out += ": " + printable(group.message, longest_message);
    out += " (the first is line " + std::to_string(group.line) + ", " + printable(group.custom_id, longest_message) + ")";
  }
  if (totals.more_groups > 0) out += "\n  and " + counted(totals.more_groups, "other failure") + "; the output has each";
  if (totals.failed > 0) out += "\nThe same command with --retry-failed asks again for what failed.";
  return out;
}

std::string run_summary_json(const RunTotals& totals, const std::string& output) {
  boost::json::array failures;
  for (const FailureGroup& group : totals.failures) {
    failures.push_back({{"outcome", group.outcome},
                        {"code", group.code},
                        {"message", group.message},
                        {"requests", group.requests},
                        {"custom_id", group.custom_id},
                        {"line", group.line}});
  }
  boost::json::object out{{"output", output},
                          {"lines", totals.lines},
                          {"succeeded", totals.succeeded},
                          {"failed", totals.failed},
                          {"input_tokens", totals.input_tokens},
                          {"output_tokens", totals.output_tokens}};
  out["failures"] = std::move(failures);
  out["more_failure_groups"] = totals.more_groups;
  return boost::json::serialize(out) + "\n";
}

}  // namespace batchd
