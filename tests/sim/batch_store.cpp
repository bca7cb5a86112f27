#include "batch_store.hpp"

#include "answers.hpp"

#include <algorithm>

namespace sim {

void BatchStore::advance(TimePoint time) {
  for (auto* batch : live_) {
    while (!batch->over()) {
      const bool can_expire = batch->state != BatchState::cancelling && !settings_.never_expire;
      if (can_expire && batch->expires_at <= std::min(batch->due, time)) {
        expire(*batch);
      } else if (batch->due <= time) {
        step(*batch, batch->due);
      } else {
        break;
      }
    }
  }
  std::erase_if(live_, [](const Batch* batch) { return batch->over(); });
}

Batch& BatchStore::create(Batch batch, const StoredFile& input, TimePoint time) {
  batch.input_file_id = input.id;
  batch.input = input.facts;
  batch.model = input.facts->model;
  batch.requests = input.facts->requests;
  batch.will_fail = input.facts->will_fail;
  batch.tokens = input.facts->tokens;
  batch.expires_at = time + settings_.window;
  batch.listed_at = std::max(batch.listed_at, time + settings_.list_lag);
  // An input that will be refused for what is in it holds no tokens.
  if (batch.input->errors.empty()) batch.holds_tokens = quota_.take(batch.resource, batch.model, batch.tokens);
  ledger_.batch_created();
  if (!used_inputs_.insert(input.id).second) ledger_.input_used_again();
  auto& kept = keep(std::move(batch));
  kept.entered[0] = time;
  enter(kept, BatchState::validating, time, settings_.validating);
  if (kept.fate.skips(BatchState::validating)) advance(time);
  return kept;
}

Batch& BatchStore::add_foreign(Batch batch, BatchState state, TimePoint time) {
  batch.foreign = true;
  batch.expires_at = time + std::chrono::hours(24 * 365);
  batch.listed_at = time;
  batch.fate.hold = state;
  if (!terminal(state) && batch.tokens > 0) batch.holds_tokens = quota_.take(batch.resource, batch.model, batch.tokens);
  auto& kept = keep(std::move(batch));
  kept.entered[0] = time;
  kept.entered[static_cast<std::size_t>(state)] = time;
  kept.state = state;
  kept.due = TimePoint::max();
  return kept;
}

Batch& BatchStore::keep(Batch batch) {
  batch.id = ids_.batch_id();
  batch.number = static_cast<std::uint32_t>(batches_.size());
  batches_.push_back(std::make_unique<Batch>(std::move(batch)));
  auto& kept = *batches_.back();
  live_.push_back(&kept);
  by_id_[kept.id] = &kept;
  return kept;
}

Batch* BatchStore::find(const std::string& id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

Batch* BatchStore::find(const std::string& resource, const std::string& id) {
  auto* const found = find(id);
  return found == nullptr || found->resource != resource ? nullptr : found;
}

std::vector<Batch*> BatchStore::list(const std::string& resource, TimePoint time) {
  std::vector<Batch*> out;
  for (auto at = batches_.rbegin(); at != batches_.rend(); ++at) {
    if ((*at)->resource == resource && (*at)->listed_at <= time && (*at)->vanished == Vanished::no) out.push_back(at->get());
  }
  return out;
}

bool BatchStore::needs_input(const std::string& file_id) const {
  return std::any_of(live_.begin(), live_.end(), [&](const Batch* batch) { return batch->input_file_id == file_id; });
}

void BatchStore::cancel(Batch& batch, TimePoint time, const Fate& fate) {
  if (batch.state == BatchState::cancelling) return;
  if (fate.end || fate.hold) batch.fate = fate;
  if (fate.end) batch.fate.after = BatchState::cancelling;
  if (batch.state == BatchState::in_progress && can_run(batch)) {
    const bool all = batch.fate.ends_after(BatchState::cancelling) && *batch.fate.end == BatchState::completed;
    const double done = static_cast<double>(share_done(batch, time)) / std::max(batch.requests, 1u);
    run_as_fated(batch, all ? 1 : done, settings_.cancelled_lines ? Rest::cancelled : Rest::absent);
  }
  enter(batch, BatchState::cancelling, time, settings_.cancelling);
}

void BatchStore::end(Batch& batch, const Fate& fate, TimePoint time) {
  batch.fate = fate;
  end(batch, time);
}

void BatchStore::hold(Batch& batch, BatchState state, Milliseconds time_held, TimePoint time) {
  batch.fate.hold = state;
  batch.fate.hold_for = time_held;
  if (batch.state == state) batch.due = time_held.count() == 0 ? TimePoint::max() : time + time_held;
}

void BatchStore::release(Batch& batch, TimePoint time) {
  batch.fate.hold.reset();
  if (!batch.over()) batch.due = std::min(batch.due, time);
}

/// `at` is when the present state ends.
void BatchStore::step(Batch& batch, TimePoint at) {
  if (batch.fate.ends_after(batch.state) || batch.foreign) return end(batch, at);
  switch (batch.state) {
    case BatchState::validating:
      batch.errors = validate(batch, rules_for(batch));
      if (batch.errors.empty()) return enter(batch, BatchState::in_progress, at, settings_.running);
      for (const auto& error : batch.errors) {
        if (error.code == "token_limit_exceeded" || error.asked_for) continue;
        ledger_.violation("batch " + batch.id + " refused: " + error.code + ": " + error.message +
                          (error.line ? " (line " + std::to_string(*error.line) + ")" : ""));
        break;
      }
      return enter(batch, BatchState::failed, at, {});
    case BatchState::in_progress:
      run_as_fated(batch, 1, Rest::absent);
      return enter(batch, BatchState::finalizing, at, settings_.finalizing);
    case BatchState::finalizing:
      if (batch.fate.files) publish(batch, at);
      return enter(batch, BatchState::completed, at, {});
    case BatchState::cancelling:
      publish(batch, at);
      return enter(batch, BatchState::cancelled, at, {});
    default:
      return;
  }
}

/// Out of whatever state, to the end that its fate names; what has run before then has run.
void BatchStore::end(Batch& batch, TimePoint at) {
  const bool cancelling = batch.state == BatchState::cancelling;
  const auto state = batch.fate.end.value_or(cancelling ? BatchState::cancelled : BatchState::completed);
  if (batch.execution == nullptr && can_run(batch)) {
    const bool expires = state == BatchState::expired, completes = state == BatchState::completed || batch.fate.kind;
    const double done = static_cast<double>(share_done(batch, at)) / std::max(batch.requests, 1u);
    const bool any = batch.fate.share || completes || expires || state == BatchState::cancelled;
    if (any) run_as_fated(batch, completes ? 1 : done, expires ? Rest::expired : Rest::absent);
  }
  if (batch.fate.files && !batch.foreign) publish(batch, at);
  if (state == BatchState::failed) batch.errors = {{"internal_error", "The batch failed for reasons of the service.", {}, {}}};
  enter(batch, state, at, {});
}

/// False when the input is none to run: refused for what is in it, or somebody else's.
bool BatchStore::can_run(const Batch& batch) const {
  return batch.input != nullptr && batch.input->errors.empty() && batch.requests <= rules_for(batch).most_requests;
}

BatchRules BatchStore::rules_for(const Batch& batch) const {
  const auto most = settings_.max_requests == 0 ? most_requests(batch.dialect) : settings_.max_requests;
  return {quota_.known(batch.model), quota_.limit(batch.model), most, settings_.accepts("bom")};
}

/// `share` and `rest` unless the batch's fate has its own.
void BatchStore::run_as_fated(Batch& batch, double share, Rest rest) {
  const auto& fate = batch.fate;
  run(batch, static_cast<std::uint32_t>(fate.share.value_or(share) * batch.requests + 0.5), fate.rest.value_or(rest));
}

void BatchStore::expire(Batch& batch) {
  const auto at = batch.expires_at;
  const bool refused = batch.state == BatchState::validating && !validate(batch, rules_for(batch)).empty();
  if (!refused && batch.execution == nullptr) run(batch, share_done(batch, at), Rest::expired);
  publish(batch, at);
  enter(batch, BatchState::expired, at, {});
}

void BatchStore::enter(Batch& batch, BatchState state, TimePoint at, Milliseconds lasts) {
  const auto& fate = batch.fate;
  batch.state = state;
  if (!fate.skips(state)) batch.entered[static_cast<std::size_t>(state)] = at;
  batch.due = at + (fate.skips(state) ? Milliseconds(0) : lasts);
  if (fate.hold == state) batch.due = fate.hold_for.count() == 0 ? TimePoint::max() : at + fate.hold_for;
  if (!batch.over()) return;
  if (state == BatchState::failed) used_inputs_.erase(batch.input_file_id);
  ledger_.batch_ended(std::string(name_of(state)));
  if (batch.holds_tokens) quota_.release(batch.resource, batch.model, batch.tokens, at);
  batch.input.reset();
  batch.execution.reset();
}

std::uint32_t BatchStore::share_done(const Batch& batch, TimePoint at) const {
  const auto begun = batch.entered[static_cast<std::size_t>(BatchState::in_progress)];
  if (!begun) return 0;
  const auto whole = std::max<std::int64_t>((batch.due - *begun).count(), 1);
  const auto past = std::clamp<std::int64_t>((at - *begun).count(), 0, whole);
  return static_cast<std::uint32_t>(std::uint64_t{batch.requests} * static_cast<std::uint64_t>(past) /
                                    static_cast<std::uint64_t>(whole));
}

void BatchStore::run(Batch& batch, std::uint32_t requests, Rest rest) {
  auto execution = std::make_shared<Execution>();
  execution->input = batch.input;
  execution->dialect = batch.dialect;
  execution->endpoint = batch.endpoint;
  execution->seed = mix(settings_.seed + batch.number);
  execution->created = unix_seconds(batch.entered[0].value());
  execution->answer_bytes = settings_.answer_bytes;
  execution->executed = requests;
  execution->rest = rest;
  execution->lost = batch.fate.lost;
  execution->kind = batch.fate.kind;
  measure(*execution, batch.number);
  batch.completed = execution->completed;
  batch.failed = execution->failed;
  batch.input_tokens = execution->input_tokens;
  batch.output_tokens = execution->output_tokens;
  batch.execution = std::move(execution);
}

/// Runs the requests: enters them in the ledger, settles the once-kinds, and makes every line once to learn the lengths.
void BatchStore::measure(Execution& execution, std::uint32_t batch_number) {
  const AnswerWriter writer(execution);
  const SpoolMapping mapping(*execution.input->records);
  const auto* const records = reinterpret_cast<const RequestRecord*>(mapping.data());
  const auto order = shuffled(execution.input->requests, execution.seed);
  std::string scratch;
  for (std::uint32_t at = 0; at < order.size(); ++at) {
    const auto index = order[at];
    const auto& record = records[index];
    const bool ran = at < execution.executed;
    if (at >= execution.listed()) break;
    if (ran && only_once(record.outcome) && ledger_.struck_before(record.prompt)) execution.relented.insert(index);
    const auto outcome = ran                               ? execution.outcome_of(index, record)
                         : execution.rest == Rest::expired ? Outcome::expired
                                                           : Outcome::cancelled;
    scratch.clear();
    writer.append(scratch, ResultFile::output, index, record, outcome);
    execution.output_bytes += scratch.size();
    scratch.clear();
    writer.append(scratch, ResultFile::error, index, record, outcome);
    execution.error_bytes += scratch.size();
    if (!ran) continue;
    if (outcome == Outcome::no_newline) execution.open_ended = true;
    (counts_as_completed(outcome) ? execution.completed : execution.failed) += 1;
    ledger_.executed(batch_number, record, outcome, writer.completion_tokens(outcome));
    if (status_of(outcome) != 200) continue;
    execution.input_tokens += record.tokens;
    execution.output_tokens += writer.completion_tokens(outcome);
  }
  if (execution.open_ended && execution.output_bytes > 0) --execution.output_bytes;
}

void BatchStore::publish(Batch& batch, TimePoint at) {
  batch.output_file_id = publish(batch, at, ResultFile::output);
  batch.error_file_id = publish(batch, at, ResultFile::error);
}

/// The new file's id; empty when there is no file to speak of. Azure has an error file even when it is empty.
std::string BatchStore::publish(Batch& batch, TimePoint at, ResultFile file) {
  const auto bytes = batch.execution == nullptr ? 0 : batch.execution->bytes(file);
  const auto& habit = settings_.empty_error_file;
  const bool has_empty = habit == "always" || (habit == "dialect" && batch.dialect != Dialect::openai);
  const bool empty_one = file == ResultFile::error && has_empty && batch.execution != nullptr;
  if (bytes == 0 && !empty_one) return {};
  auto stored = std::make_shared<StoredFile>();
  stored->id = ids_.file_id();
  stored->resource = batch.resource;
  stored->filename = batch.id + (file == ResultFile::output ? "_output.jsonl" : "_error.jsonl");
  stored->purpose = "batch_output";
  stored->bytes = bytes;
  stored->created = stored->processed_at = at;
  stored->visible_at = at + settings_.results_invisible;
  if (batch.results_expire) stored->expires_at = unix_seconds(at) + *batch.results_expire;
  stored->result = file;
  if (bytes > 0) stored->execution = batch.execution;
  const auto id = stored->id;
  files_.add(std::move(stored));
  return id;
}

}  // namespace sim
