#include "simulation/oracle.hpp"

#include "simulation/cloud/prompt.hpp"

#include <algorithm>
#include <sstream>

namespace batchd::simulation {
namespace {

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace

void Tally::add(const Tally& other) {
  requests += other.requests;
  succeeded += other.succeeded;
  failed += other.failed;
  cancelled += other.cancelled;
  expired += other.expired;
  batches += other.batches;
  billed += other.billed;
  duplicates += other.duplicates;
  deaths += other.deaths;
  restores += other.restores;
}

void Oracle::enqueued(RequestId id, const std::string& body) {
  prompts_[id] = prompt_hash(body);
}

void Oracle::restored(Milliseconds now, bool new_timeline) {
  ++tally_.restores;
  restored_at_ = now;
  if (!new_timeline) unnoticed_ = {now, now + schedule_.config.lease.ttl};
  std::erase_if(prompts_, [this](const auto& entry) { return !database_.request(entry.first); });
  for (const auto& [id, prompt] : prompts_) {
    const auto view = database_.request(id);
    if (view->state == RequestView::State::in_flight && view->shard) from_backup_[id] = *view->shard;
  }
}

void Oracle::must_be_noticed() {
  must_be_noticed_ = true;
  for (const auto& [id, prompt] : prompts_) {
    const auto view = database_.request(id);
    if (view && view->state == RequestView::State::in_flight && !from_backup_.contains(id)) planned_unawares_.insert(id);
  }
}

void Oracle::retrying() {
  for (const auto& [id, prompt] : prompts_) {
    const auto view = database_.request(id);
    if (!view || !view->result) continue;
    const Outcome outcome = view->result->outcome;
    if (outcome == Outcome::cancelled || outcome == Outcome::expired) asked_again_.insert(id);
  }
}

bool Oracle::waits(RequestId id) const {
  const auto view = database_.request(id);
  return view && view->state == RequestView::State::queued;
}

void Oracle::answers_read(std::size_t cloud, std::size_t batch) {
  const Ledger& ledger = clouds_[cloud]->ledger();
  const BatchEntry& entry = ledger.batches[batch];
  std::vector<RequestId>& waiting = answered_[entry.id];
  waiting.clear();
  for (std::size_t i = entry.first_run; i < entry.first_run + entry.ran; ++i) {
    const LineRun& line = ledger.runs[i];
    if (line.billed && line.written && waits(line.id.request)) waiting.push_back(line.id.request);
  }
}

/// What a duplicate has answered is used wherever an answer is missing (P2): a request that waited when it was read waits no
/// more.
void Oracle::stray_used(const BatchId& batch) {
  if (restored_at_ || !wasted_.empty()) return;
  for (const RequestId id : answered_[batch]) {
    if (waits(id)) wasted_ = text("request ", id, " waits although duplicate ", batch.value, ", which has answered it, was read");
  }
}

std::string Oracle::check_now() const {
  if (!wasted_.empty()) return wasted_;
  if (std::string problem = database_.check(); !problem.empty()) return problem;
  for (const auto& cloud : clouds_) {
    for (const Violation& violation : cloud->ledger().violations)
      return text(to_string(violation.what), ": ", violation.object, " at ", violation.at.count(), " ms");
  }
  return "";
}

std::string Oracle::unfinished() const {
  if (database_.unsettled() > 0) {
    for (const RequestId id : database_.requests()) {
      const auto view = database_.request(id);
      if (view && view->state != RequestView::State::settled)
        return text("request ", id, view->state == RequestView::State::queued ? " is queued" : " is in flight",
                    view->shard ? text(", in shard ", *view->shard) : "", ", and ", database_.unsettled(),
                    " in all are unsettled");
    }
  }
  for (const ShardView& view : database_.shards()) {
    if (view.shard.state != ShardState::closed)
      return text("shard ", view.shard.id, " is ", to_string(view.shard.state), ", error ", view.shard.error);
  }
  for (const StrayView& view : database_.strays()) {
    if (!view.done) return text("duplicate ", view.stray.batch, " of shard ", view.stray.shard, " is not done");
  }
  for (const Unmatched& one : database_.unmatched()) return text("provider ", one.provider, " is unmatched");
  return "";
}

std::string Oracle::check_end() {
  const Runs runs = this->runs();
  for (const auto& cloud : clouds_) {
    tally_.batches += std::count_if(cloud->ledger().batches.begin(), cloud->ledger().batches.end(),
                                    [](const BatchEntry& batch) { return !batch.foreign; });
    tally_.billed += cloud->ledger().billed();
  }
  for (std::string problem : {check_posts(), check_fences(), check_inputs(), check_quota(), check_requests(runs)}) {
    if (!problem.empty()) return problem;
  }
  return "";
}

/// At most one POST for each attempt of a shard (P2).
std::string Oracle::check_posts() const {
  for (const auto& cloud : clouds_) {
    for (const auto& [key, count] : cloud->ledger().posts) {
      if (count > 1 && !restored_at_)
        return text("attempt ", key.attempt, " of shard ", key.shard, " was submitted ", count, " times");
    }
  }
  return "";
}

/// After a fence the same attempt cannot be accepted any more: its input file is gone.
std::string Oracle::check_fences() const {
  for (const auto& cloud : clouds_) {
    if (cloud->struck(CloudFault::file_unseen) > 0 || restored_at_) continue;  // where a file is denied although it is there
    std::map<ShardId, const BatchEntry*> latest;
    for (const BatchEntry& batch : cloud->ledger().batches) {
      if (batch.foreign || batch.attempt == 0) continue;
      const BatchEntry*& last = latest[batch.shard];
      if (last && last->attempt > batch.attempt)
        return text("attempt ", batch.attempt, " of shard ", batch.shard, " was accepted after attempt ", last->attempt,
                    ": its file was there although it was fenced");
      if (!last || batch.attempt > last->attempt) last = &batch;
    }
  }
  return "";
}

/// Its input may go: it went before the loss or before a heartbeat told of that, the batch was not listed then, or it is a
/// duplicate.
bool Oracle::is_of_a_lost_past(const BatchEntry& batch) const {
  if (*batch.deprived < *restored_at_ + schedule_.config.lease.ttl || batch.listed_surely > *restored_at_) return true;
  const auto strays = database_.strays();
  return std::any_of(strays.begin(), strays.end(), [&](const StrayView& view) { return view.stray.batch == batch.id; });
}

/// No batch loses its input file by our doing while it may need it.
std::string Oracle::check_inputs() const {
  for (const auto& cloud : clouds_) {
    for (const BatchEntry& batch : cloud->ledger().batches) {
      if (batch.foreign || !batch.deprived || *batch.deprived >= batch.lost_from) continue;
      if (restored_at_ ? is_of_a_lost_past(batch) : unclosable(batch)) continue;
      return text("the input of batch ", batch.id, " of shard ", batch.shard, " was deleted at ", batch.deprived->count(),
                  " ms while it ran");
    }
  }
  return "";
}

std::string Oracle::check_quota() const {
  for (const auto& cloud : clouds_) {
    if (restored_at_ || cloud->settings().release_lag.most.count() > 0) continue;
    // What was accepted and nobody saw holds room that no ledger knows of.
    const auto& batches = cloud->ledger().batches;
    const bool unseen = std::any_of(batches.begin(), batches.end(), [this](const BatchEntry& b) {
      const bool vanished = b.lost_from < b.over.value_or(Milliseconds::max());
      return !b.foreign && (vanished || unclosable(b));
    });
    if (unseen) continue;
    for (const auto& [name, enqueued] : cloud->ledger().deployments) {
      if (enqueued.overruns > 0)
        return text("deployment ", name, " was sent more than it has room for ", enqueued.overruns, " times");
    }
  }
  return "";
}

Oracle::Runs Oracle::runs() const {
  Runs runs;
  for (std::size_t c = 0; c < clouds_.size(); ++c) {
    const Ledger& ledger = clouds_[c]->ledger();
    for (const LineRun& line : ledger.runs) {
      const auto prompt = prompts_.find(line.id.request);
      // A request that a loss of commits has taken away is nobody's any more, and its number may be another's.
      if (prompt == prompts_.end() || prompt->second != line.prompt) continue;
      runs[line.id.request].push_back({c, &line, &ledger.batches[line.batch]});
    }
  }
  for (auto& [id, all] : runs) {
    std::stable_sort(all.begin(), all.end(), [](const Run& a, const Run& b) { return a.batch->accepted < b.batch->accepted; });
  }
  return runs;
}

std::string Oracle::check_requests(const Runs& runs) {
  static const std::vector<Run> none;
  for (const auto& [id, prompt] : prompts_) {
    const auto view = database_.request(id);
    if (!view) return text("request ", id, " is gone");
    if (!view->result) return text("request ", id, " has no result");
    ++tally_.requests;
    switch (view->result->outcome) {
      case Outcome::succeeded:
        ++tally_.succeeded;
        break;
      case Outcome::failed:
        ++tally_.failed;
        break;
      case Outcome::cancelled:
        ++tally_.cancelled;
        break;
      case Outcome::expired:
        ++tally_.expired;
        break;
    }
    const auto found = runs.find(id);
    const std::vector<Run>& all = found == runs.end() ? none : found->second;
    for (std::string problem : {check_answer(id, *view), check_billing(id, all), check_paid(id, *view, all)}) {
      if (!problem.empty()) return problem;
    }
  }
  return "";
}

/// An answer stands beside the request that it answers.
std::string Oracle::check_answer(RequestId id, const RequestView& view) const {
  if (view.result->outcome != Outcome::succeeded) {
    return view.result->error.empty() ? text("request ", id, " has neither an answer nor an error") : "";
  }
  const auto mark = mark_of(view.result->response);
  if (!mark) return text("request ", id, " has an answer that no provider gave: ", view.result->response);
  if (mark->prompt != prompts_.at(id)) return text("request ", id, " has the answer to another request");
  return "";
}

bool Oracle::lenient(const Run& run, const BatchEntry* again) const {
  if (loss_accepted_ && (!again || again->accepted >= *loss_accepted_)) return true;
  // A database that was put back on the same timeline while nobody was there who remembered looks as it did then, until they
  // wake.
  if (restored_at_ && !must_be_noticed_) return true;
  if (run.batch->lost_from != Milliseconds::max()) return true;
  return unclosable(*run.batch) || (again && left_open(run, *again));
}

/// What no client can close (DESIGN.md P2): the batch was accepted, or listed, later than anybody looks for it.
bool Oracle::unclosable(const BatchEntry& batch) const {
  if (restored_at_ && batch.listed_surely > *restored_at_) return true;
  const auto& books = database_.submissions();
  const auto entry = books.find({batch.shard, batch.attempt});
  if (entry == books.end()) return restored_at_.has_value();
  // One that was found after its entry was lost has a new entry, from then.
  const auto announced = std::min(std::chrono::duration_cast<Milliseconds>(entry->second.announced_at), batch.accepted);
  const bool clock_was_set = std::any_of(schedule_.events.begin(), schedule_.events.end(),
                                         [](const Event& event) { return event.what == Incident::clock_step; });
  return clock_was_set || batch.listed_surely > announced + schedule_.config.retry.settle_window;
}

/// What a loss of commits leaves open (tests/README.md): where nothing but a replica's memory tells of it, the others go on
/// planning and submitting until its next heartbeat; and what a backup holds in one shard while it was given to another one since
/// goes out with both. And of two attempts with one input file a list without metadata does not say which one a batch belongs to;
/// where the input file went in what was lost, not even whose it is. A request
/// that is cancelled while its batch is forgotten keeps no answer, so that a person who asks for it again pays again.
bool Oracle::left_open(const Run& first, const BatchEntry& again) const {
  const auto held = from_backup_.find(first.line->id.request);
  if (held != from_backup_.end() && held->second != first.batch->shard) return true;
  if (planned_unawares_.contains(first.line->id.request)) return true;
  if (restored_at_ && asked_again_.contains(first.line->id.request)) return true;
  if (restored_at_ && first.batch->attempt > 1 && clouds_[first.cloud]->struck(CloudFault::no_metadata) > 0) return true;
  const auto& traceless = first.batch->traceless_from;
  if (restored_at_ && traceless && *traceless < *restored_at_ + schedule_.config.lease.ttl) return true;
  return unnoticed_ && again.accepted >= unnoticed_->first && again.accepted < unnoticed_->second;
}

/// Nothing is run again that was answered, paid for, and could be read.
std::string Oracle::check_billing(RequestId id, const std::vector<Run>& runs) {
  for (std::size_t i = 0; i + 1 < runs.size(); ++i) {
    const Run& first = runs[i];
    if (!first.line->billed || !first.line->written) continue;
    const Run& second = runs[i + 1];
    ++tally_.duplicates;
    if (lenient(first, second.batch)) continue;
    return text("request ", id, " was billed in batch ", first.batch->id, " of shard ", first.batch->shard, " attempt ",
                first.batch->attempt, " (accepted at ", first.batch->accepted.count(), " ms, listed from ",
                first.batch->listed_surely.count(), " ms on) and run again in batch ", second.batch->id, " of shard ",
                second.batch->shard, " attempt ", second.batch->attempt, " (accepted at ", second.batch->accepted.count(),
                " ms)");
  }
  return "";
}

/// What was paid for is kept (P4), and wins over everything else that could become of a request.
std::string Oracle::check_paid(RequestId id, const RequestView& view, const std::vector<Run>& runs) const {
  if (view.result->outcome == Outcome::succeeded) return "";
  // To a database that has forgotten the batch it waited in the queue, where it could be cancelled and its deadline could pass.
  const Outcome outcome = view.result->outcome;
  if (restored_at_ && (outcome == Outcome::cancelled || outcome == Outcome::expired)) return "";
  for (const Run& run : runs) {
    if (run.line->billed && run.line->written && !lenient(run, nullptr))
      return text("request ", id, " ended as ", to_string(view.result->outcome), " although batch ", run.batch->id,
                  " has answered it: ", view.result->error);
  }
  return "";
}

}  // namespace batchd::simulation
