#include "answers.hpp"

#include "dirt.hpp"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>

namespace sim {
namespace {

constexpr std::size_t huge_bytes = 2 * 1024 * 1024;
constexpr std::string_view filler =
    "The quick brown fox jumps over the lazy dog while the simulator thinks of nothing at all and answers at length. ";
constexpr std::string_view safe_filter =
    R"({"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},)"
    R"("sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}})";

void append_number(std::string& out, std::uint64_t value) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, static_cast<std::size_t>(end - text));
}

/// A page of filler, so that long answers are few copies.
const std::string& filler_page() {
  static const std::string page = [] {
    std::string text;
    while (text.size() < 16 * 1024) text += filler;
    return text;
  }();
  return page;
}

std::string_view error_message(int status) {
  switch (status) {
    case 400:
      return "The response was filtered due to the prompt triggering the content management policy.";
    case 401:
      return "Access denied due to invalid credentials for this deployment.";
    case 403:
      return "Access to this deployment is denied.";
    case 408:
      return "The operation timed out.";
    case 409:
      return "The request conflicts with the present state.";
    case 422:
      return "The request cannot be processed as it is.";
    case 503:
      return "The service is temporarily unable to process your request.";
    case 404:
      return "The deployment for this request does not exist.";
    case 429:
      return "Requests have exceeded the rate limit of this deployment. Please retry later.";
    default:
      return "The server had an error while processing the request.";
  }
}

std::string_view error_code(int status) {
  switch (status) {
    case 400:
      return "content_filter";
    case 401:
      return "unauthorized";
    case 403:
      return "forbidden";
    case 404:
      return "DeploymentNotFound";
    case 408:
      return "timeout";
    case 409:
      return "conflict";
    case 422:
      return "unprocessable";
    case 503:
      return "service_unavailable";
    case 429:
      return "too_many_requests";
    default:
      return "internal_error";
  }
}

}  // namespace

AnswerWriter::AnswerWriter(const Execution& execution)
    : execution_(execution), input_name_("prompt_tokens"), output_name_("completion_tokens") {
  const std::string model = boost::json::serialize(boost::json::value(execution.input->model));
  const std::string created = std::to_string(execution.created);
  const std::string kind = bare_endpoint(execution.endpoint);
  const bool azure = execution.dialect != Dialect::openai;
  if (kind == "/responses") {
    before_content_ =
        R"(","object":"response","created_at":)" + created + R"(,"status":"completed","error":null,"model":)" + model +
        R"(,"output":[{"type":"message","id":"msg_0","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":")";
    after_content_ = R"("}]}],"usage":{")";
    input_name_ = "input_tokens";
    output_name_ = "output_tokens";
  } else if (kind == "/embeddings") {
    // The content stands in the model's place of an otherwise ordinary embedding: there is no text to put it in.
    before_content_ = R"(","object":"list","data":[{"object":"embedding","index":0,"embedding":[0.0125,-0.25,1e-05]}],"model":)" +
                      model + R"(,"sim":")";
    after_content_ = R"(","usage":{")";
  } else if (kind == "/completions") {
    before_content_ =
        R"(","object":"text_completion","created":)" + created + R"(,"model":)" + model + R"(,"choices":[{"index":0,"text":")";
    after_content_ = R"(","logprobs":null,"finish_reason":"stop"}],"usage":{")";
  } else {
    before_content_ = R"(","object":"chat.completion","created":)" + created + R"(,"model":)" + model;
    if (azure)
      before_content_ +=
          R"(,"prompt_filter_results":[{"prompt_index":0,"content_filter_results":)" + std::string(safe_filter) + "}]";
    before_content_ += R"(,"choices":[{"index":0,"message":{"role":"assistant","content":")";
    after_content_ = R"(","refusal":null},"logprobs":null,"finish_reason":"stop")";
    if (azure) after_content_ += R"(,"content_filter_results":)" + std::string(safe_filter);
    after_content_ += R"(}],"usage":{")";
    after_usage_ = R"(,"system_fingerprint":"fp_batchd_sim")";
  }
}

std::size_t AnswerWriter::content_bytes(Outcome outcome) const {
  constexpr std::size_t shortest = 7 + 64 + 6 + sizeof(RequestRecord::echo_bytes) + 1;
  return outcome == Outcome::huge ? huge_bytes : std::max(execution_.answer_bytes, shortest);
}

void AnswerWriter::append(std::string& out, ResultFile file, std::uint32_t index, const RequestRecord& record,
                          Outcome outcome) const {
  if (file == ResultFile::output) {
    append_output(out, index, record, outcome);
  } else {
    append_error(out, index, record, outcome);
  }
}

void AnswerWriter::append_output(std::string& out, std::uint32_t index, const RequestRecord& record, Outcome outcome) const {
  switch (outcome) {
    case Outcome::answered:
    case Outcome::both:
    case Outcome::huge:
      return append_answer(out, record.custom_id(), index, record, outcome);
    case Outcome::duplicate:
      append_answer(out, record.custom_id(), index, record, outcome);
      return append_answer(out, record.custom_id(), index, record, outcome);
    case Outcome::corrupt:
      append_answer(out, record.custom_id(), index, record, outcome);
      out += "{\"custom_id\": \"cut off in the mid\n";
      return;
    case Outcome::unknown:
      append_answer(out, record.custom_id(), index, record, outcome);
      return append_answer(out, "not-yours-" + std::to_string(index), index, record, outcome);
    case Outcome::error_in_output:
      return append_failure(out, index, record, 400);
    case Outcome::empty_200:
      open_line(out, record.custom_id(), index);
      out += R"("response":{"status_code":200,"request_id":"","body":null},"error":null})"
             "\n";
      return;
    case Outcome::status_0:
      open_line(out, record.custom_id(), index);
      out += R"("response":{"status_code":0,"request_id":"","body":{}},"error":null})"
             "\n";
      return;
    default:
      break;
  }
  const bool elsewhere = !counts_as_completed(outcome) || outcome == Outcome::missing;
  if (elsewhere) return;
  const auto start = out.size();
  append_answer(out, record.custom_id(), index, record, outcome);
  soil(out, start, outcome);
}

void AnswerWriter::append_error(std::string& out, std::uint32_t index, const RequestRecord& record, Outcome outcome) const {
  switch (outcome) {
    case Outcome::both:
      return append_failure(out, index, record, 500);
    case Outcome::expired:
      return append_unanswered(out, index, record, "batch_expired",
                               "This request could not be executed before the completion window expired.");
    case Outcome::timeout:
      return append_unanswered(out, index, record, "request_timeout", "This request timed out.");
    case Outcome::cancelled:
      return append_unanswered(out, index, record, "batch_cancelled",
                               "This request was not executed because the batch was cancelled.");
    default:
      break;
  }
  if (!counts_as_completed(outcome)) append_failure(out, index, record, status_of(outcome), outcome);
}

void AnswerWriter::open_line(std::string& out, std::string_view custom_id, std::uint64_t number) const {
  if (execution_.dialect == Dialect::openai) {
    out += R"({"id":"batch_req_)";
    append_hex(out, mix(execution_.seed + number));
    out += R"(","custom_id":")";
  } else {
    out += R"({"custom_id":")";
  }
  out += custom_id;
  out += "\",";
}

void AnswerWriter::append_answer(std::string& out, std::string_view custom_id, std::uint32_t index, const RequestRecord& record,
                                 Outcome outcome) const {
  const std::uint64_t number = mix(execution_.seed ^ (std::uint64_t{index} << 20));
  open_line(out, custom_id, index);
  if (execution_.dialect == Dialect::openai) {
    out += R"("response":{"status_code":200,"request_id":"req_)";
    append_hex(out, number);
    out += R"(","body":)";
    append_body(out, number, record, outcome);
    out += R"(},"error":null})"
           "\n";
  } else {
    out += R"("response":{"body":)";
    append_body(out, number, record, outcome);
    out += R"(,"request_id":"req_)";
    append_hex(out, number);
    out += R"(","status_code":200},"error":null})"
           "\n";
  }
}

void AnswerWriter::append_body(std::string& out, std::uint64_t number, const RequestRecord& record, Outcome outcome) const {
  const std::uint32_t answer_tokens = completion_tokens(outcome);
  out += R"({"id":"chatcmpl-)";
  append_hex(out, number);
  out += before_content_;
  append_content(out, record, outcome);
  out += after_content_;
  out += input_name_;
  out += "\":";
  append_number(out, record.tokens);
  out += ",\"";
  out += output_name_;
  out += "\":";
  append_number(out, answer_tokens);
  out += R"(,"total_tokens":)";
  append_number(out, std::uint64_t{record.tokens} + answer_tokens);
  out += '}';
  out += after_usage_;
  out += '}';
}

void AnswerWriter::append_content(std::string& out, const RequestRecord& record, Outcome outcome) const {
  const std::size_t end = out.size() + content_bytes(outcome);
  out += "sha256:";
  append_hex(out, record.prompt);
  out += " echo:";
  out += record.echo();
  out += ' ';
  const auto& page = filler_page();
  while (out.size() < end) out.append(page, 0, end - out.size());
}

void AnswerWriter::append_failure(std::string& out, std::uint32_t index, const RequestRecord& record, int status,
                                  Outcome kind) const {
  open_line(out, record.custom_id(), index);
  out += R"("response":{"status_code":)";
  append_number(out, static_cast<std::uint64_t>(status));
  out += R"(,"request_id":"req_)";
  append_hex(out, mix(execution_.seed ^ (std::uint64_t{index} << 20)));
  out += R"(","body":{"error":{"message":")";
  if (kind == Outcome::too_long) {
    out += "This model's maximum context length is exceeded by the messages.";
  } else {
    out += kind == Outcome::no_credit ? "You exceeded your current quota, please check your plan and billing details."
                                      : error_message(status);
  }
  out += R"(","type":)";
  out += status == 400 ? R"("invalid_request_error","param":"prompt")" : R"(null,"param":null)";
  out += R"(,"code":")";
  if (kind == Outcome::too_long) {
    out += "context_length_exceeded";
  } else {
    out += kind == Outcome::no_credit ? "insufficient_quota" : error_code(status);
  }
  out += R"("}}},"error":null})"
         "\n";
}

void AnswerWriter::append_unanswered(std::string& out, std::uint32_t index, const RequestRecord& record, std::string_view code,
                                     std::string_view message) const {
  open_line(out, record.custom_id(), index);
  out += R"("response":null,"error":{"code":")";
  out += code;
  out += R"(","message":")";
  out += message;
  out += R"("}})"
         "\n";
}

}  // namespace sim
