#include "core/shard.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <type_traits>

namespace batchd {
namespace {

constexpr std::array<std::string_view, 6> state_words{"planned", "uploaded", "submitted", "finished", "merged", "closed"};
constexpr std::array<std::string_view, 6> reason_words{"none", "ran", "expired", "cancelled", "refused", "given_up"};

template <class Enum, std::size_t N>
std::optional<Enum> find_word(const std::array<std::string_view, N>& words, std::string_view text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (words[i] == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

std::string error_json(const ProviderError& error) {
  boost::json::object object;
  object["code"] = error.code.empty() ? to_string(error.kind) : std::string_view(error.code);
  if (error.kind == ErrorKind::quota) object["code"] = no_room_code;
  object["message"] = error.message;
  if (error.status != 0) object["status"] = error.status;
  return boost::json::serialize(object);
}

std::string error_json(const Batch& batch) {
  if (batch.errors.empty()) return {};
  boost::json::object object;
  object["code"] = batch.errors.front().code;
  object["message"] = batch.errors.front().message;
  boost::json::array lines;
  for (const BatchError& error : batch.errors) {
    if (!error.line) continue;
    boost::json::object entry;
    entry["line"] = *error.line;
    entry["code"] = error.code;
    entry["message"] = error.message;
    lines.push_back(std::move(entry));
  }
  if (!lines.empty()) object["lines"] = std::move(lines);
  return boost::json::serialize(object);
}

FinishReason reason_of(const Batch& batch) {
  switch (batch.status) {
    case BatchStatus::expired:
      return FinishReason::expired;
    case BatchStatus::cancelled:
      return FinishReason::cancelled;
    case BatchStatus::failed:
      // A failed batch that left files behind did run (PROTOCOL.md 17.8); one without was refused while validated.
      return batch.output_file_id || batch.error_file_id ? FinishReason::ran : FinishReason::refused;
    default:
      return FinishReason::ran;
  }
}

/// The same shard, one step of progress later: nothing has failed and it is due at once.
Shard progressed(Shard shard) {
  shard.failures = 0;
  shard.denials = 0;
  shard.short_reads = 0;
  shard.due_in = Milliseconds{0};
  return shard;
}

Shard finished(Shard shard, FinishReason reason) {
  shard = progressed(std::move(shard));
  shard.state = ShardState::finished;
  shard.finish_reason = reason;
  shard.reserved = 0;
  shard.intent = false;
  return shard;
}

/// Ready for another submission under the next attempt number; the room goes back to the ledger.
Shard next_attempt(Shard shard, ShardState state, Milliseconds retry_in) {
  shard.state = state;
  shard.attempt += 1;
  shard.reserved = 0;
  shard.intent = false;
  shard.looks = 0;
  shard.batch.reset();
  shard.batch_status = BatchStatus::unknown;
  shard.failures += 1;
  shard.denials = 0;
  shard.short_reads = 0;
  shard.due_in = retry_in;
  return shard;
}

[[noreturn]] void misfit(const Shard& shard, std::string_view event) {
  throw std::logic_error("shard " + std::to_string(shard.id.value) + " is " + std::string(to_string(shard.state)) +
                         (shard.intent ? " with an open intent" : "") + ": " + std::string(event) + " does not fit");
}

void expect(bool fits, const Shard& shard, std::string_view event) {
  if (!fits) misfit(shard, event);
}

struct Apply {
  const Shard& shard;

  bool waiting_to_submit() const { return shard.state == ShardState::uploaded && !shard.intent; }
  bool unanswered() const { return shard.state == ShardState::uploaded && shard.intent; }

  Shard operator()(const Uploaded& e) const {
    expect(shard.state == ShardState::planned, shard, "uploaded");
    Shard next = progressed(shard);
    next.state = ShardState::uploaded;
    next.input_file = e.file;
    next.bytes = e.bytes;
    next.tokens = e.tokens;
    next.bounds = e.bounds;
    return next;
  }
  Shard operator()(const GivenUp&) const {
    expect(shard.state == ShardState::planned || waiting_to_submit(), shard, "given_up");
    return finished(shard, FinishReason::given_up);
  }
  Shard operator()(const FileLost& e) const {
    expect(waiting_to_submit(), shard, "file_lost");
    Shard next = next_attempt(shard, ShardState::planned, e.retry_in);
    next.input_file.reset();
    next.error = e.error;
    return next;
  }
  Shard operator()(const Intended&) const {
    expect(waiting_to_submit(), shard, "intended");
    Shard next = shard;
    next.intent = true;
    next.looks = 0;
    next.reserved = shard.tokens;
    next.due_in = Milliseconds{0};
    return next;
  }
  Shard operator()(const Created& e) const {
    expect(unanswered(), shard, "created");
    Shard next = progressed(shard);
    next.state = ShardState::submitted;
    next.intent = false;
    next.batch = e.batch.id;
    next.batch_status = e.batch.status;
    return next;
  }
  Shard operator()(const NotCreated& e) const {
    expect(unanswered(), shard, "not_created");
    Shard next = next_attempt(shard, ShardState::uploaded, e.retry_in);
    next.error = error_json(e.error);
    return next;
  }
  Shard operator()(const Refused& e) const {
    expect(shard.state == ShardState::planned || unanswered(), shard, "refused");
    Shard next = finished(shard, FinishReason::refused);
    next.error = error_json(e.error);
    return next;
  }
  Shard operator()(const NotFoundInList& e) const {
    expect(unanswered(), shard, "not_found_in_list");
    Shard next = shard;
    next.looks += 1;
    next.due_in = e.retry_in;
    return next;
  }
  Shard operator()(const Fenced&) const {
    expect(unanswered(), shard, "fenced");
    Shard next = next_attempt(shard, ShardState::planned, Milliseconds{0});
    next.input_file.reset();
    return next;
  }
  Shard operator()(const Ended& e) const {
    expect(shard.state == ShardState::submitted, shard, "ended");
    Shard next = finished(shard, reason_of(e.batch));
    next.batch_status = e.batch.status;
    next.output_file = e.batch.output_file_id;
    next.error_file = e.batch.error_file_id;
    next.error = error_json(e.batch);
    return next;
  }
  Shard operator()(const Vanished&) const {
    expect(shard.state == ShardState::submitted, shard, "vanished");
    Shard next = finished(shard, FinishReason::ran);
    next.error = R"({"code":"batch_vanished","message":"the provider does not know the batch any more"})";
    return next;
  }
  Shard operator()(const NotRun& e) const {
    expect(shard.state == ShardState::submitted, shard, "not_run");
    // Where the batch had to be looked for, a fence that was given up may still reach its file.
    const bool usable = shard.looks == 0;
    Shard next = next_attempt(shard, usable ? ShardState::uploaded : ShardState::planned, e.retry_in);
    if (!usable) next.input_file.reset();
    if (e.error) next.error = error_json(*e.error);
    return next;
  }
  Shard operator()(const Found& e) const {
    expect(shard.state == ShardState::planned || waiting_to_submit(), shard, "found");
    Shard next = progressed(shard);
    next.state = ShardState::submitted;
    // Never back: the attempts in between were announced too, and none is announced twice.
    next.attempt = std::max(shard.attempt, e.attempt);
    next.found_attempt = e.attempt;
    next.looks = 0;
    next.reserved = shard.tokens;
    next.input_file = e.input_file;
    next.batch = e.batch.id;
    next.batch_status = e.batch.status;
    return next;
  }
  Shard operator()(const Merged&) const {
    expect(shard.state == ShardState::finished, shard, "merged");
    Shard next = progressed(shard);
    next.state = ShardState::merged;
    return next;
  }
  Shard operator()(const Closed&) const {
    expect(shard.state == ShardState::merged, shard, "closed");
    Shard next = progressed(shard);
    next.state = ShardState::closed;
    return next;
  }
  Shard operator()(const Delayed& e) const {
    expect(shard.state != ShardState::closed, shard, "delayed");
    Shard next = shard;
    next.failures += 1;
    next.denials = e.kind == ErrorKind::not_found ? shard.denials + 1 : 0;
    next.short_reads = e.kind == ErrorKind::cut_short ? shard.short_reads + 1 : 0;
    next.due_in = e.retry_in;
    if (!e.error.empty()) next.error = e.error;
    return next;
  }
};

}  // namespace

std::string_view to_string(ShardState state) {
  return state_words[static_cast<std::size_t>(state)];
}
std::optional<ShardState> parse_shard_state(std::string_view text) {
  return find_word<ShardState>(state_words, text);
}
std::string_view to_string(FinishReason reason) {
  return reason_words[static_cast<std::size_t>(reason)];
}
std::optional<FinishReason> parse_finish_reason(std::string_view text) {
  return find_word<FinishReason>(reason_words, text);
}

Shard apply(const Shard& shard, const ShardEvent& event) {
  return std::visit(Apply{shard}, event);
}

}  // namespace batchd
