#include "core/refusal.hpp"

#include "core/output_line.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <initializer_list>

namespace batchd {
namespace {

/// How long a single suspect waits for a sign that its lane works, before that counts as one of its attempts.
constexpr Milliseconds patience{600'000};
/// How often several suspects stop their lane together. A lane that is still like that after pauses that grow each time has
/// nothing else to send: they are all that is left of it, and must come to an end too.
constexpr int most_pauses = 6;

bool is_one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

bool mentions(std::string_view code, std::string_view message, std::initializer_list<std::string_view> words) {
  return is_one_of(code, words) || std::any_of(words.begin(), words.end(), [&](std::string_view word) {
           return message.find(word) != std::string_view::npos;
         });
}

Fault fault_of(std::string_view code, std::string_view message) {
  if (code.empty() && message.empty()) return Fault::passing;
  if (is_one_of(code, {"internal_error", "server_error", "internalFailure", "serviceUnavailable"})) return Fault::passing;
  if (mentions(code, message, {"token_limit_exceeded"})) return Fault::quota;
  if (mentions(
          code, message,
          {"model_not_found", "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated"}) ||
      is_one_of(code, {"DeploymentNotFound", "input_no_permissions"})) {
    return Fault::account;
  }
  if (is_one_of(code, {"too_many_tasks", "too_many_requests", "file_too_large", "request_too_large"}) ||
      message.find("larger than") != std::string_view::npos) {
    return Fault::size;
  }
  if (is_one_of(code, {"duplicate_custom_id", "url_mismatch", "model_mismatch", "empty_file", "empty_batch", "invalid_custom_id",
                       "missing_custom_id", "invalid_url", "invalid_method", "input_modified"})) {
    return Fault::ours;
  }
  return Fault::rows;
}

boost::json::object parse_error(std::string_view shard_error) {
  boost::system::error_code failed;
  auto error = boost::json::parse(shard_error, failed);
  return failed || !error.is_object() ? boost::json::object{} : std::move(error.as_object());
}

std::string_view text_of(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}

}  // namespace

Fault fault_of(const Batch& batch) {
  Fault found = Fault::passing;
  for (const BatchError& error : batch.errors) {
    const Fault fault = fault_of(error.code, error.message);
    if (fault == Fault::rows && error.line) return Fault::rows;
    if (fault > found) found = fault;
  }
  return found;
}

Fault fault_of(std::string_view shard_error) {
  if (!blamed_lines(shard_error).empty()) return Fault::rows;
  const auto error = parse_error(shard_error);
  const auto* status = error.if_contains("status");
  if (status && status->is_int64() && status->get_int64() == 413) return Fault::size;
  return fault_of(text_of(error, "code"), text_of(error, "message"));
}

std::map<std::int64_t, std::string> blamed_lines(std::string_view shard_error) {
  std::map<std::int64_t, std::string> blamed;
  const auto error = parse_error(shard_error);
  const auto* lines = error.if_contains("lines");
  if (!lines || !lines->is_array()) return blamed;
  for (const auto& entry : lines->get_array()) {
    const auto* object = entry.if_object();
    const auto* number = object ? object->if_contains("line") : nullptr;
    if (!number || !number->is_int64()) continue;  // not of core/shard.cpp's making
    const std::string_view code = text_of(*object, "code");
    const std::string_view message = text_of(*object, "message");
    const std::int64_t line = number->get_int64();
    // There is no line 0: who believed in it would send the same file again for ever.
    if (line >= 1 && fault_of(code, message) <= Fault::rows) blamed[line] = make_error(code, message);
  }
  return blamed;
}

Trial trial_of(ShardState state, FinishReason reason, bool accepted, std::int64_t undecided) {
  if (accepted || reason == FinishReason::ran || reason == FinishReason::expired) return Trial::accepted;
  if (reason == FinishReason::none) return Trial::waiting;
  if (reason != FinishReason::refused) return Trial::gone;
  return state == ShardState::finished && undecided > 1 ? Trial::waiting : Trial::refused;
}

RefusedStep next_step(const RefusedShard& shard) {
  if (shard.undecided == 0) return RefusedStep::release;
  if (shard.names_lines) return RefusedStep::blame_lines;
  if (shard.fault == Fault::size) return shard.undecided == 1 ? RefusedStep::blame_last : RefusedStep::divide;
  if (shard.fault != Fault::rows && shard.fault != Fault::passing) return RefusedStep::pause_lane;
  if (shard.trial == Trial::waiting) return RefusedStep::wait;
  if (shard.trial == Trial::refused || shard.trial == Trial::gone) return RefusedStep::release;
  if (shard.undecided > 1) return RefusedStep::try_half;
  if (shard.lane_works) return RefusedStep::blame_last;
  if (!shard.halved && shard.trial == Trial::none) return RefusedStep::count_attempt;
  if (shard.other_suspect) return shard.pauses < most_pauses ? RefusedStep::pause_lane : RefusedStep::count_attempt;
  return shard.waited < patience ? RefusedStep::wait : RefusedStep::count_attempt;
}

}  // namespace batchd
