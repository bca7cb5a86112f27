// What becomes of batches while time passes.
#include "simulation/cloud/cloud.hpp"
#include "simulation/cloud/lines.hpp"

#include <algorithm>
#include <numeric>

namespace batchd::simulation {

bool FakeCloud::has_room(const std::string& deployment, Tokens tokens) {
  const auto limit = settings_.deployments.find(deployment);
  if (limit == settings_.deployments.end()) return true;
  std::erase_if(lagging_, [this](const Lagging& lag) { return now() >= lag.until; });
  Tokens held = ledger_.deployments[deployment].now + settings_.foreign_tokens + tokens;
  for (const Lagging& lag : lagging_) {
    if (lag.deployment == deployment) held += lag.tokens;
  }
  return held <= limit->second;
}

void FakeCloud::draw_life(CloudBatch& batch, const NewBatch& order) {
  batch.validated = now() + within(settings_.validating);
  if (strikes(CloudFault::stuck_validating)) batch.validated += within(settings_.stuck);
  batch.ran = batch.validated + within(settings_.running);
  batch.over = batch.ran + within(settings_.finalizing);
  if (strikes(CloudFault::stuck_finalizing)) batch.over += within(settings_.stuck);
  draw_manners(batch);
  if (auto errors = draw_refusal(batch, order)) {
    batch.fail_validation(std::move(*errors));
    return;
  }
  const auto share = [this] {
    return settings_.least_share +
           (settings_.most_share - settings_.least_share) * static_cast<double>(dice_.between(0, 100)) / 100;
  };
  if (strikes(CloudFault::expires)) {
    batch.end = BatchStatus::expired;
    batch.share = share();
  } else if (strikes(CloudFault::fails_late)) {
    batch.end = BatchStatus::failed;
    batch.share = share();
    batch.errors.push_back({"server_error", "It failed on the way.", std::nullopt});
  } else if (strikes(CloudFault::cancelled_by_others)) {
    batch.others_cancel = dice_.between(batch.accepted, batch.over);
  }
}

std::optional<std::vector<BatchError>> FakeCloud::draw_refusal(const CloudBatch& batch, const NewBatch& order) {
  const Input& input = *batch.input;
  if (!input.errors.empty()) return input.errors;
  std::vector<BatchError> one(1);
  if (input.url != settings_.line_url(order.endpoint)) {
    one[0] = {"url_mismatch", "The lines name another endpoint than the batch.", 1};
    return one;
  }
  if (!settings_.deployments.empty() && !settings_.deployments.contains(input.deployment)) {
    one[0] = {"model_not_found", "There is no such deployment.", std::nullopt};
    return one;
  }
  if (!has_room(input.deployment, input.tokens) || strikes(CloudFault::quota_failed)) {
    one[0] = {"token_limit_exceeded", "The enqueued token limit is reached.", std::nullopt};
    return one;
  }
  if (strikes(CloudFault::account_failed)) {
    const bool gone = dice_.flip(0.5);
    one[0] = {gone ? "model_not_found" : "billing_hard_limit_reached", "The account cannot run this.", std::nullopt};
    return one;
  }
  if (!strikes(CloudFault::validation_failed)) return std::nullopt;
  if (dice_.flip(0.5)) return std::vector<BatchError>();
  one[0] = {"internal_error", "Something went wrong.", std::nullopt};
  return one;
}

void FakeCloud::draw_manners(CloudBatch& batch) {
  batch.all_alike = strikes(CloudFault::all_alike);
  batch.no_output = strikes(CloudFault::no_output);
  batch.output_unseen = strikes(CloudFault::output_unseen);
  batch.output_taken = strikes(CloudFault::output_taken);
  batch.no_counts = strikes(CloudFault::no_counts);
  batch.no_metadata = strikes(CloudFault::no_metadata);
  batch.no_input_id = !batch.no_metadata && strikes(CloudFault::no_input_id);
  batch.cancel_ignored = strikes(CloudFault::cancel_ignored);
  batch.input_needed = strikes(CloudFault::input_needed);
  if (strikes(CloudFault::vanishes)) batch.vanishes = dice_.between(batch.accepted, batch.over + settings_.taken.most);
}

ProviderResult<Batch> FakeCloud::cancel(CloudBatch& batch, Milliseconds at) {
  const BatchStatus status = batch.status(at);
  if (is_terminal(status)) return ProviderError{ErrorKind::conflict, 409, "conflict", "the batch is over", {}};
  if (status == BatchStatus::cancelling) return batch.show(at, false);
  batch.cancelling = at;
  const Milliseconds ends = at + within(settings_.cancelling);
  if (batch.foreign) {
    batch.end = BatchStatus::cancelled;
    batch.over = ends;
  } else if (status == BatchStatus::finalizing || (batch.cancel_ignored && batch.end != BatchStatus::failed)) {
    batch.over = std::max(batch.over, ends);  // it ends as it would have
  } else {
    batch.end = BatchStatus::cancelled;
    batch.errors.clear();
    if (status == BatchStatus::in_progress) {
      batch.share *= static_cast<double>((at - batch.validated).count()) /
                     static_cast<double>(std::max<std::int64_t>((batch.ran - batch.validated).count(), 1));
      batch.ran = at;
    } else {
      batch.validated = batch.ran = never;
    }
    batch.over = ends;
  }
  return batch.show(at, false);
}

void FakeCloud::settle() {
  // From behind: what is over leaves the list.
  for (std::size_t i = live_.size(); i-- > 0;) settle(live_[i]);
}

void FakeCloud::settle(std::size_t index) {
  CloudBatch& batch = batches_[index];
  if (batch.others_cancel && now() >= *batch.others_cancel) {
    const Milliseconds at = *batch.others_cancel;
    batch.others_cancel.reset();
    cancel(batch, at);
  }
  if (!batch.has_run && now() >= batch.ran) run_lines(index);
  if (now() >= batch.over) finish(index);
}

void FakeCloud::finish(std::size_t index) {
  CloudBatch& batch = batches_[index];
  batch.is_over = true;
  batch.shown.errors = batch.errors;
  live_.erase(std::find(live_.begin(), live_.end(), index));
  BatchEntry& entry = ledger_.batches[index];
  entry.over = batch.over;
  entry.end = batch.end;
  ledger_.deployments[entry.deployment].now -= entry.tokens;
  if (settings_.release_lag.most.count() > 0) {
    lagging_.push_back({batch.over + within(settings_.release_lag), entry.deployment, entry.tokens});
  }
  if (batch.no_output) entry.lost_from = std::min(entry.lost_from, batch.over);
  if (!batch.output.empty() && !batch.no_output) {
    batch.shown.output_file_id = publish(batch, batch.output, true);
    entry.lost_from = std::min(entry.lost_from, files_.all().back().gone_from);
  }
  // Azure has an error file even when there is nothing in it.
  const bool empty_one = settings_.limits.wait_for_processed && batch.end == BatchStatus::completed;
  if (!batch.failures.empty() || empty_one) batch.shown.error_file_id = publish(batch, batch.failures, false);
}

FileId FakeCloud::publish(const CloudBatch& batch, std::string& text, bool answers) {
  CloudFile file;
  if (answers) file.answers_of = index_of(batch);
  file.shown.filename = batch.shown.id.value + (answers ? "_output.jsonl" : "_error.jsonl");
  file.shown.purpose = "batch_output";
  file.shown.bytes = static_cast<Bytes>(text.size());
  file.content = std::make_shared<const std::string>(std::move(text));
  if (batch.output_unseen) file.seen_from = batch.over + within(settings_.unseen);
  if (answers && batch.output_taken) file.gone_from = batch.over + within(settings_.taken);
  return files_.add(std::move(file), batch.over, settings_.clock_skew).shown.id;
}

void FakeCloud::run_lines(std::size_t index) {
  CloudBatch& batch = batches_[index];
  batch.has_run = true;
  const std::vector<InputLine>& lines = batch.input->lines;
  std::vector<std::size_t> order(lines.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[static_cast<std::size_t>(dice_.between(0, static_cast<std::int64_t>(i) - 1))]);
  }
  batch.output.reserve(lines.size() * 340);
  ledger_.batches[index].first_run = ledger_.runs.size();
  const char* const unrun = batch.end == BatchStatus::expired                        ? "batch_expired"
                            : batch.end == BatchStatus::cancelled && dice_.flip(0.5) ? "batch_cancelled"
                                                                                     : nullptr;
  for (const std::size_t place : order) {
    const InputLine& line = lines[place];
    if (batch.share >= 1 || dice_.flip(batch.share)) {
      run_line(index, line);
    } else if (unrun && dice_.flip(0.8)) {
      append_error(batch.failures, line.custom_id, unrun);
      ++batch.counts.failed;
    }
  }
  ledger_.batches[index].ran = ledger_.runs.size() - ledger_.batches[index].first_run;
}

void FakeCloud::run_line(std::size_t index, const InputLine& line) {
  CloudBatch& batch = batches_[index];
  LineRun run;
  run.batch = index;
  run.id = line.id;
  run.prompt = line.prompt;
  if (!fail_line(batch, line, run)) answer_line(batch, line, run);
  run.billed = run.status == 200;
  ++(run.billed ? batch.counts.completed : batch.counts.failed);
  ledger_.runs.push_back(run);
}

bool FakeCloud::fail_line(CloudBatch& batch, const InputLine& line, LineRun& run) {
  const auto fail = [&](int status, const char* code) {
    run.status = status;
    append_failure(batch.failures, line.custom_id, status, code);
    return true;
  };
  if (batch.all_alike) return fail(401, "unauthorized");
  if (line.wish == BodyWish::refused || strikes(CloudFault::line_refused)) return fail(400, "content_filter");
  if (strikes(CloudFault::line_throttled)) return fail(429, "rate_limit_exceeded");
  if (strikes(CloudFault::line_failed)) return fail(dice_.flip(0.5) ? 500 : 503, "server_error");
  if (strikes(CloudFault::line_unpaid)) return fail(429, "insufficient_quota");
  if (strikes(CloudFault::line_timeout)) {
    append_error(batch.failures, line.custom_id, "request_timeout");
    return true;
  }
  if (strikes(CloudFault::line_empty)) {
    run.status = dice_.flip(0.5) ? 200 : 0;
    append_empty(batch.output, line.custom_id, run.status);
    return true;
  }
  return false;
}

void FakeCloud::answer_line(CloudBatch& batch, const InputLine& line, LineRun& run) {
  run.status = 200;
  if (strikes(CloudFault::line_missing)) return;
  const std::string& model = batch.input->deployment;
  const std::size_t number = ledger_.runs.size();
  // Lines stand in any order: what is nobody's may come before the answer as well as after it.
  const bool foreign = strikes(CloudFault::line_foreign);
  const bool foreign_first = foreign && dice_.flip(0.5);
  if (foreign_first) append_foreign(batch, line);
  const std::size_t start = batch.output.size();
  append_answer(batch.output, line.custom_id, model, line, number);
  if (strikes(CloudFault::line_garbled)) {
    batch.output.resize(start + (batch.output.size() - start) / 2);
    batch.output += '\n';
    return;
  }
  run.written = true;
  if (strikes(CloudFault::line_twice)) append_answer(batch.output, line.custom_id, model, line, number);
  if (strikes(CloudFault::line_in_both)) append_failure(batch.failures, line.custom_id, 500, "server_error");
  if (strikes(CloudFault::line_dirt)) append_dirt(batch.output, static_cast<int>(dice_.between(0, 3)));
  if (foreign && !foreign_first) append_foreign(batch, line);
}

void FakeCloud::append_foreign(CloudBatch& batch, const InputLine& line) {
  InputLine other = line;
  ++other.prompt;  // whoever takes it has an answer to another prompt
  // Nobody ever sends these, so that no reader may take them however long it waits.
  const CustomId ids[] = {{RequestId{line.id.request.value + 1'000'000}, 1}, {line.id.request, line.id.attempt + 1'000}};
  const auto kind = static_cast<std::size_t>(dice_.between(0, 2));
  const std::string id = kind < 2 ? to_string(ids[kind]) : "request-" + line.custom_id;
  append_answer(batch.output, id, batch.input->deployment, other, ledger_.runs.size());
}

}  // namespace batchd::simulation
