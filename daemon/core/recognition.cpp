#include "core/recognition.hpp"

#include <charconv>

namespace batchd {
namespace {

template <class Number>
std::optional<Number> number_in(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  Number value = 0;
  const std::string& text = found->second;
  const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
  if (error != std::errc{} || value <= 0 || std::to_string(value) != text) return std::nullopt;
  return value;
}

Recognition beside_a_held_shard(const Batch& listed, const BookEntry& books) {
  const BookEntry::Held& held = *books.held;
  const bool unanswered = held.state == ShardState::uploaded && held.intent;
  if (unanswered && books.attempt == held.attempt) return Recognition::open;
  const bool before_submission = held.state == ShardState::planned || held.state == ShardState::uploaded;
  if (before_submission && !unanswered) {
    if (nothing_ran(listed) && books.announced) return Recognition::harmless;
    // A number given out anew after commits were lost would name other requests: more than the shard has cannot be its own.
    if (listed.counts && listed.counts->total > held.requests) {
      return books.announced ? Recognition::duplicate : Recognition::lost;
    }
    return Recognition::take_over;
  }
  if (nothing_ran(listed)) return Recognition::harmless;
  if (unanswered) return Recognition::wait;
  // An attempt that is still to come for us: the commits in between were lost, and polling will get there first.
  if (held.state == ShardState::submitted && !books.announced && books.attempt > held.attempt) return Recognition::wait;
  return Recognition::duplicate;
}

}  // namespace

std::optional<Claim> claim_of(const Batch& batch, std::string_view instance) {
  Claim claim;
  claim.batch = batch.id;
  claim.input_file = batch.input_file_id;
  if (batch.metadata.empty()) return claim.input_file ? std::optional(claim) : std::nullopt;
  const auto named = batch.metadata.find("batchd_instance");
  if (named == batch.metadata.end() || named->second != instance) return std::nullopt;
  const auto shard = number_in<std::int64_t>(batch.metadata, "batchd_shard");
  const auto attempt = number_in<int>(batch.metadata, "batchd_attempt");
  if (!shard || !attempt) return std::nullopt;  // no POST of ours ever looked like that
  claim.shard = ShardId{*shard};
  claim.attempt = *attempt;
  return claim;
}

std::string_view to_string(Recognition recognition) {
  switch (recognition) {
    case Recognition::foreign:
      return "foreign";
    case Recognition::known:
      return "known";
    case Recognition::open:
      return "open";
    case Recognition::wait:
      return "wait";
    case Recognition::take_over:
      return "take_over";
    case Recognition::duplicate:
      return "duplicate";
    case Recognition::lost:
      return "lost";
    case Recognition::harmless:
      break;
  }
  return "harmless";
}

bool nothing_ran(const Batch& batch) {
  return batch.status == BatchStatus::failed && !batch.output_file_id && !batch.error_file_id;
}

bool is_of_another_past(const std::optional<FileId>& input_file, const BookEntry& books) {
  return books.announced && books.input_file && input_file && *input_file != *books.input_file;
}

Recognition recognise(const Batch& listed, const BookEntry& books) {
  if (!books.shard) return Recognition::foreign;
  if (books.recorded || books.batch == listed.id || (books.held && books.held->batch == listed.id)) return Recognition::known;
  if (is_of_another_past(listed.input_file_id, books)) return nothing_ran(listed) ? Recognition::harmless : Recognition::lost;
  if (books.held) return beside_a_held_shard(listed, books);
  if (books.retired) return Recognition::known;
  return nothing_ran(listed) ? Recognition::harmless : Recognition::lost;
}

bool better(const Batch& a, int attempt_a, const Batch& b, int attempt_b) {
  if (nothing_ran(a) != nothing_ran(b)) return nothing_ran(b);
  return attempt_a > attempt_b;
}

Stray stray_of(const Batch& batch, ShardId shard, int attempt) {
  Stray stray;
  stray.batch = batch.id;
  stray.shard = shard;
  stray.attempt = attempt;
  stray.status = batch.status;
  stray.input_file = batch.input_file_id;
  stray.output_file = batch.output_file_id;
  stray.error_file = batch.error_file_id;
  stray.counts = batch.counts;
  stray.created_at = batch.created_at;
  stray.over = is_terminal(batch.status);
  return stray;
}

StrayStep next_step(const Stray& stray) {
  if (!stray.over) return StrayStep::stop;
  const bool merged = !stray.holder || *stray.holder == ShardState::merged || *stray.holder == ShardState::closed;
  if (!merged) return StrayStep::leave;
  return stray.used || !stray.output_file ? StrayStep::clear : StrayStep::harvest;
}

}  // namespace batchd
