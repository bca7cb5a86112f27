// The part of the watch stage that deals with what a database has lost: shards whose commits are gone while their batches are
// not, and answers that were stored in a database that is no more.
#include "stages/sent_lines.hpp"
#include "stages/watch.hpp"

namespace batchd {
namespace {

/// Some batches never say how many requests they answered (PROTOCOL.md 17).
bool may_have_answered(const Batch& batch) {
  if (batch.counts) return batch.counts->completed > 0;
  return batch.output_file_id || batch.status == BatchStatus::completed;
}

/// What of a file can still not be read after so many downloads is what became of it.
constexpr int most_damaged = 10;

}  // namespace

Task<std::optional<bool>> WatchStage::answers_gone(const Batch& batch) {
  for (const auto& file : {batch.output_file_id, batch.error_file_id}) {
    if (!file) continue;
    const auto described = co_await provider_.retrieve_file(*file);
    if (described.has_value()) continue;
    if (described.error().kind != ErrorKind::not_found) warn("retrieve_file.failed", batch.id, described.error());
    if (results_.prove(batch.id, described.error(), most_missing)) co_return true;
    co_return std::nullopt;
  }
  results_.seen(batch.id);
  co_return false;
}

Task<void> WatchStage::look_for_answers(const Batch& batch, const BookEntry& books, Survey& survey) {
  const bool unread = books.held && books.held->batch == batch.id &&
                      (books.held->state == ShardState::submitted || books.held->state == ShardState::finished);
  if (!unread || !is_terminal(batch.status)) co_return;
  const std::optional<bool> gone = co_await answers_gone(batch);
  if (!gone) ++survey.unsettled;
  if (gone.value_or(false)) co_await record_lost(batch, books);
}

Task<void> WatchStage::record_lost(const Batch& batch, const BookEntry& books) {
  const Stray stray = stray_of(batch, *books.shard, books.attempt);
  if (!co_await context_.store.record_stray(provider_name_, StrayKind::lost, stray)) co_return;
  context_.log.error("batch.answers_lost", {{"provider", provider_name_},
                                            {"batch", batch.id.value},
                                            {"shard", books.shard->value},
                                            {"requests", batch.counts ? batch.counts->total : 0}});
}

Task<WatchStage::Learnt> WatchStage::read_sent(const BatchId& batch, const FileId& input, SentLines& lines) {
  ByteSink sink = [&lines](std::string_view bytes) -> Task<void> {
    lines.feed(bytes);
    co_return;
  };
  const auto read = co_await provider_.download(input, sink);
  lines.end();
  if (read.has_error()) {
    warn("download.failed", batch, read.error());
    co_return inputs_.prove(batch, read.error(), most_missing) ? Learnt::gone : Learnt::later;
  }
  if (lines.damaged() && ++damaged_inputs_[batch] < most_damaged) co_return Learnt::later;
  inputs_.seen(batch);
  damaged_inputs_.erase(batch);
  if (lines.empty()) co_return Learnt::all;
  const ShardContents contents = lines.contents();
  BodySink compare = [&lines](RequestId request, std::string_view body) {
    lines.compare(request, body);
    return true;
  };
  co_await context_.store.read_bodies(ShardId{}, contents, std::move(compare));
  co_return Learnt::all;
}

Task<WatchStage::Learnt> WatchStage::learn(FoundBatch& found) {
  SentLines lines(context_.vocabularies);
  const Learnt learnt = co_await read_sent(found.batch, found.input_file, lines);
  if (learnt != Learnt::all) co_return learnt;
  found.model = lines.model();
  found.tokens = lines.tokens();
  found.lines = lines.same();
  co_return Learnt::all;
}

Task<bool> WatchStage::give_up(const Batch& batch, const BookEntry& books) {
  // Its answers may be there, but nothing tells whose they are: the numbers in them may have been given out anew.
  if (!is_terminal(batch.status)) co_return false;
  if (may_have_answered(batch)) {
    co_await record_lost(batch, books);
  } else {
    const Stray stray = stray_of(batch, *books.shard, books.attempt);
    co_await context_.store.record_stray(provider_name_, StrayKind::harmless, stray);
  }
  co_return true;
}

Task<bool> WatchStage::recover(Candidate& lost) {
  Batch& batch = lost.batch;
  const bool over = is_terminal(batch.status);
  if (over) {
    const std::optional<bool> gone = co_await answers_gone(batch);
    if (!gone) co_return false;
    if (*gone) {
      co_await record_lost(batch, lost.books);
      co_return true;
    }
  }
  if (!co_await learn_input(batch, lost.books)) co_return false;
  FoundBatch found;
  found.provider = provider_name_;
  found.batch = batch.id;
  found.shard = lost.books.shard;
  found.attempt = lost.books.attempt;
  found.input_file = batch.input_file_id.value_or(FileId{"unknown"});
  Learnt learnt = Learnt::gone;
  if (batch.input_file_id) learnt = co_await learn(found);
  if (learnt == Learnt::later) co_return false;
  if (learnt == Learnt::gone) {
    const bool given_up = co_await give_up(batch, lost.books);
    co_return given_up;
  }
  if (over) found.tokens = 0;  // it holds nothing any more
  const std::optional<BoundShard> bound = co_await context_.store.bind_found(context_.session.term(), found);
  if (!bound) co_return false;
  if (!bound->id) {
    // All its requests are settled, or in other shards, or not known at all: nothing here waits for what it answers.
    co_await record_duplicate(batch, lost.books);
    co_return true;
  }
  context_.log.warn(
      "shard.recovered",
      {{"shard", bound->id->value}, {"attempt", lost.books.attempt}, {"batch", batch.id.value}, {"requests", bound->requests}});
  co_return true;
}

}  // namespace batchd
