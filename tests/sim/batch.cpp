#include "batch.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>

namespace sim {
namespace {

boost::json::value text_or_null(const std::string& text) {
  return text.empty() ? boost::json::value(nullptr) : boost::json::value(text);
}

boost::json::value errors_of(const Batch& batch) {
  if (batch.state == BatchState::failed && batch.fate.errors) return *batch.fate.errors;
  if (batch.errors.empty()) return nullptr;
  boost::json::array data;
  for (const auto& error : batch.errors) {
    boost::json::object entry{{"code", error.code}, {"message", error.message}};
    entry["param"] = error.param ? boost::json::value(*error.param) : boost::json::value(nullptr);
    // The documents of Azure's dated versions have the line as text, the others as a number; poison says which it wants.
    const bool as_text = error.asked_for ? error.line_as_text : batch.dialect == Dialect::azure;
    entry["line"] = !error.line ? boost::json::value(nullptr)
                    : as_text   ? boost::json::value(std::to_string(*error.line))
                                : boost::json::value(*error.line);
    data.push_back(std::move(entry));
  }
  return boost::json::object{{"object", "list"}, {"data", std::move(data)}};
}

boost::json::object counts_of(const Batch& batch, TimePoint time) {
  const auto begun = batch.entered[static_cast<std::size_t>(BatchState::in_progress)];
  std::uint64_t completed = batch.completed, failed = batch.failed;
  if (batch.state == BatchState::in_progress && begun) {
    const auto whole = std::max<std::int64_t>((batch.due - *begun).count(), 1);
    const auto past = static_cast<std::uint64_t>(std::clamp<std::int64_t>((time - *begun).count(), 0, whole));
    completed = std::uint64_t{batch.requests - batch.will_fail} * past / static_cast<std::uint64_t>(whole);
    failed = std::uint64_t{batch.will_fail} * past / static_cast<std::uint64_t>(whole);
  }
  const bool counted = begun.has_value() || batch.state != BatchState::validating;
  return {{"total", counted ? batch.requests : 0}, {"completed", completed}, {"failed", failed}};
}

boost::json::object usage_of(const Batch& batch) {
  return {{"input_tokens", batch.input_tokens},
          {"input_tokens_details", boost::json::object{{"cached_tokens", 0}}},
          {"output_tokens", batch.output_tokens},
          {"output_tokens_details", boost::json::object{{"reasoning_tokens", 0}}},
          {"total_tokens", batch.input_tokens + batch.output_tokens}};
}

}  // namespace

boost::json::object describe(const Batch& batch, TimePoint time) {
  boost::json::object out{{"id", batch.id},
                          {"object", "batch"},
                          {"endpoint", batch.endpoint},
                          {"errors", errors_of(batch)},
                          {"input_file_id", batch.input_file_id},
                          {"completion_window", "24h"},
                          {"status", name_of(batch.state)},
                          {"output_file_id", text_or_null(batch.output_file_id)},
                          {"error_file_id", text_or_null(batch.error_file_id)},
                          {"created_at", unix_seconds(*batch.entered[0])},
                          {"expires_at", unix_seconds(batch.expires_at)},
                          {"request_counts", counts_of(batch, time)},
                          {"metadata", batch.metadata}};
  for (std::size_t i = 1; i < batch.entered.size(); ++i) {
    const auto& entered = batch.entered[i];
    const std::string member = std::string(name_of(static_cast<BatchState>(i))) + "_at";
    out[member] = entered ? boost::json::value(unix_seconds(*entered)) : boost::json::value(nullptr);
  }
  if (batch.dialect != Dialect::azure && !batch.model.empty()) out["model"] = batch.model;
  if (batch.dialect != Dialect::azure && batch.over()) out["usage"] = usage_of(batch);
  return out;
}

Batch as_before(const Batch& batch) {
  constexpr BatchState order[] = {BatchState::validating, BatchState::in_progress, BatchState::finalizing,
                                  BatchState::cancelling};
  auto before = BatchState::validating;
  for (const auto state : order) {
    if (state == batch.state) break;
    if (batch.entered[static_cast<std::size_t>(state)]) before = state;
  }
  Batch then = batch;
  if (batch.state != BatchState::validating) then.entered[static_cast<std::size_t>(batch.state)].reset();
  then.state = before;
  then.errors.clear();
  then.output_file_id.clear();
  then.error_file_id.clear();
  return then;
}

std::vector<InputError> validate(const Batch& batch, const BatchRules& rules) {
  const auto& input = *batch.input;
  const auto one = [](std::string code, std::string message, std::optional<std::int64_t> line = {},
                      std::optional<std::string> param = {}) {
    return std::vector<InputError>{{std::move(code), std::move(message), line, std::move(param)}};
  };
  if (!batch.window_accepted) return one("invalid_request", "The completion window must be 24h.", {}, "completion_window");
  const bool bad_bom = input.has_bom && !rules.bom_accepted;
  if (bad_bom && batch.dialect != Dialect::openai) {
    return one("invalid_request",
               "Validation failed: A valid model deployment name couldn't be extracted from the input file. Please ensure that "
               "each row in the "
               "input file has a valid deployment name specified in the 'model' field, and that the deployment name is "
               "consistent across all rows.");
  }
  if (bad_bom) return one("invalid_json_line", "This line is not parseable as valid JSON.", 1);
  if (input.requests == 0) return one("empty_file", "The input file has no requests.");
  if (input.requests > rules.most_requests) {
    return one("too_many_tasks", "The input file has " + std::to_string(input.requests) + " requests, more than the limit of " +
                                     std::to_string(rules.most_requests) + ".");
  }
  if (!input.errors.empty()) return input.errors;
  const std::string wanted = line_url(batch.dialect, batch.endpoint);
  if (input.url != wanted) {
    return one("url_mismatch",
               "The url '" + input.url + "' of the lines does not match the batch's endpoint; expected '" + wanted + "'.", 1,
               "url");
  }
  if (!rules.deployment_known)
    return one("model_not_found", "The model deployment '" + input.model + "' does not exist.", 1, "model");
  if (auto poisoned = errors_of(input.poisoned); !poisoned.empty()) return poisoned;
  if (!batch.holds_tokens) {
    return one("token_limit_exceeded",
               "Enqueued token limit reached for " + input.model + ". Limit: " + std::to_string(rules.limit) +
                   " enqueued tokens. Please try again once some in_progress batches have been completed.");
  }
  return {};
}

}  // namespace sim
