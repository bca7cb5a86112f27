// The part of the watch stage that deals with duplicates: batches of ours that run beside another of the same shard, each of
// which may cost money twice. They are stopped; what they have answered is paid for, and used wherever an answer is missing.
#include "core/output_line.hpp"
#include "spool/spool.hpp"
#include "stages/watch.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// A duplicate that its provider has denied for so long is gone.
constexpr Milliseconds longest_denial{600'000};
/// Result files may be invisible for a while after a batch has ended (PROTOCOL.md 17).
constexpr int most_unseen = 5;

class SuccessReader {
 public:
  explicit SuccessReader(std::vector<CustomId>& answered) : answered_(answered), splitter_(longest_file_line) {}

  Task<void> feed(std::string_view bytes) {
    splitter_.feed(bytes, [this](const LineSplitter::Line& line) { take(line.text); });
    co_return;
  }
  void end() {
    splitter_.end([this](const LineSplitter::Line& line) { take(line.text); });
  }

 private:
  void take(std::string_view line) {
    const LineResult result = read_output_line(line);
    if (result.reading && result.reading->verdict == Verdict::success) answered_.push_back(result.reading->id);
  }

  std::vector<CustomId>& answered_;
  LineSplitter splitter_;
};

}  // namespace

Task<void> WatchStage::record_duplicate(const Batch& batch, const BookEntry& books) {
  const Stray stray = stray_of(batch, *books.shard, books.attempt);
  // Counted by whoever enters it, so once, however many replicas walk and however often they start.
  if (!co_await context_.store.record_stray(provider_name_, StrayKind::duplicate, stray)) co_return;
  context_.metrics.duplicate_batch();
  context_.log.error("batch.duplicate", {{"provider", provider_name_},
                                         {"batch", batch.id.value},
                                         {"shard", books.shard->value},
                                         {"attempt", books.attempt},
                                         {"status", to_string(batch.status)},
                                         {"other_batch", books.held && books.held->batch ? books.held->batch->value : ""}});
}

Task<void> WatchStage::tend_strays() {
  std::vector<Stray> strays = co_await context_.store.open_strays(provider_name_);
  for (Stray& stray : strays) {
    if (!context_.session.trusted()) co_return;
    switch (next_step(stray)) {
      case StrayStep::stop:
        co_await stop_stray(stray);
        break;
      case StrayStep::leave:
        break;
      case StrayStep::harvest:
        co_await harvest(stray);
        break;
      case StrayStep::clear:
        co_await clear_away(stray);
        break;
    }
  }
}

Task<void> WatchStage::stop_stray(Stray& stray) {
  const auto seen = co_await provider_.retrieve_batch(stray.batch);
  if (seen.has_error()) {
    warn("duplicate.not_seen", stray.batch, seen.error());
    if (seen.error().kind != ErrorKind::not_found || stray.age < longest_denial) co_return;
    stray.over = true;
  } else {
    stray.status = seen->status;
    stray.output_file = seen->output_file_id;
    stray.error_file = seen->error_file_id;
    stray.over = is_terminal(seen->status);
  }
  if (!stray.over && stray.status != BatchStatus::cancelling) {
    const auto cancelled = co_await provider_.cancel_batch(stray.batch);
    if (cancelled.has_error()) {
      if (cancelled.error().kind != ErrorKind::conflict) warn("duplicate.cancel_failed", stray.batch, cancelled.error());
    } else {
      stray.status = cancelled->status;
      context_.log.warn("duplicate.cancelled", {{"provider", provider_name_}, {"batch", stray.batch.value}});
    }
  }
  co_await context_.store.update_stray(provider_name_, stray, false);
  if (stray.over) context_.bells.merge.notify();
}

/// What the books announced is of this database's own past. Of anything else only those requests may be answered that are still
/// the ones that were asked. Nothing when that cannot be told now.
Task<std::optional<std::vector<CustomId>>> WatchStage::usable(const Stray& stray, std::vector<CustomId> answered) {
  std::vector<Claim> claims;
  claims.push_back(Claim{stray.batch, stray.shard, stray.attempt, stray.input_file});
  const std::vector<BookEntry> books = co_await context_.store.look_up(provider_name_, claims);
  if (books.front().announced && !is_of_another_past(stray.input_file, books.front())) co_return answered;
  FoundBatch asked;
  if (stray.input_file) {
    asked.batch = stray.batch;
    asked.input_file = *stray.input_file;
    const Learnt learnt = co_await learn(asked);
    if (learnt == Learnt::later) co_return std::nullopt;
  }
  std::erase_if(answered, [&asked](const CustomId& id) {
    const auto line = std::lower_bound(asked.lines.begin(), asked.lines.end(), id,
                                       [](const CustomId& a, const CustomId& b) { return a.request < b.request; });
    return line == asked.lines.end() || *line != id;  // an answer to another attempt is none to this file's line
  });
  co_return answered;
}

Task<void> WatchStage::harvest(Stray& stray) {
  FoundBatch found;
  found.provider = provider_name_;
  found.batch = stray.batch;
  found.input_file = stray.input_file.value_or(FileId{"unknown"});
  SuccessReader reader(found.lines);
  ByteSink sink = [&reader](std::string_view bytes) { return reader.feed(bytes); };
  const auto read = co_await provider_.download(*stray.output_file, sink);
  reader.end();
  if (read.has_error()) {
    warn("download.failed", stray.batch, read.error());
    if (!results_.prove(stray.batch, read.error(), most_unseen)) co_return;
    found.lines.clear();
  }
  results_.seen(stray.batch);
  if (!found.lines.empty()) {
    auto usable_lines = co_await usable(stray, found.lines);
    if (!usable_lines) co_return;
    found.lines = std::move(*usable_lines);
  }
  BoundShard bound;
  if (!found.lines.empty()) {
    const auto result = co_await context_.store.bind_found(context_.session.term(), found);
    if (!result) co_return;
    bound = *result;
  }
  stray.used = true;
  // A shard that was made of it merges its answers and deletes its files as any other.
  co_await context_.store.update_stray(provider_name_, stray, bound.id.has_value());
  context_.log.info("duplicate.harvested", {{"provider", provider_name_},
                                            {"batch", stray.batch.value},
                                            {"answers", found.lines.size()},
                                            {"used", bound.requests},
                                            {"shard", bound.id ? bound.id->value : 0}});
}

Task<void> WatchStage::clear_away(Stray& stray) {
  if (settings_.delete_remote_files) {
    if (stray.idle < settings_.remote_delay) co_return;
    for (const auto& file : {stray.input_file, stray.output_file, stray.error_file}) {
      if (!file) continue;
      if (!context_.session.trusted()) co_return;
      const auto deleted = co_await provider_.delete_file(*file);
      if (deleted.has_error()) {
        warn("delete_file.failed", stray.batch, deleted.error());
        co_return;
      }
    }
  }
  co_await context_.store.update_stray(provider_name_, stray, true);
  context_.log.info("duplicate.done", {{"provider", provider_name_}, {"batch", stray.batch.value}});
}

}  // namespace batchd
