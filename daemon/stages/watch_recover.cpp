// The part of the watch stage that deals with what a database has lost: shards whose commits are gone while their batches are
// not, and answers that were stored in a database that is no more.
#include "core/json_scan.hpp"
#include "core/output_line.hpp"
#include "core/tokens.hpp"
#include "spool/spool.hpp"
#include "stages/watch.hpp"

namespace batchd {
namespace {

constexpr std::size_t longest_line = 64 << 20;
/// A file that so many walks in a row do not find is gone; a new one may be invisible for a while (PROTOCOL.md 17).
constexpr int most_missing = 3;

/// Gathers the requests that the lines of a file name.
class LineReader {
 public:
  explicit LineReader(FoundBatch& found) : found_(found), splitter_(longest_line) {}

  Task<void> feed(std::string_view bytes) {
    splitter_.feed(bytes, [this](const LineSplitter::Line& line) { take(line.text); });
    co_return;
  }
  void end() {
    splitter_.end([this](const LineSplitter::Line& line) { take(line.text); });
  }

 private:
  void take(std::string_view line) {
    const auto name = find_member(line, "custom_id");
    const auto id = name ? parse_custom_id(decode_json_string(*name)) : std::nullopt;
    if (!id) return;
    found_.lines.push_back(*id);
    const auto body = find_member(line, "body");
    if (!body) return;
    found_.tokens += estimate_tokens(*body);
    if (!found_.model.empty()) return;
    if (const auto model = find_member(*body, "model")) found_.model = decode_json_string(*model);
  }

  FoundBatch& found_;
  LineSplitter splitter_;
};

}  // namespace

Task<std::optional<bool>> WatchStage::answers_gone(const Batch& batch) {
  bool missing = false;
  for (const auto& file : {batch.output_file_id, batch.error_file_id}) {
    if (!file || missing) continue;
    const auto described = co_await provider_.retrieve_file(*file);
    if (described.has_value()) continue;
    if (described.error().kind != ErrorKind::not_found) {
      warn("retrieve_file.failed", batch.id, described.error());
      co_return std::nullopt;
    }
    missing = true;
  }
  if (!missing) {
    missing_files_.erase(batch.id);
    co_return false;
  }
  if (++missing_files_[batch.id] < most_missing) co_return std::nullopt;
  co_return true;
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

Task<std::optional<FoundBatch>> WatchStage::learn(const Batch& batch) {
  FoundBatch found;
  found.provider = provider_name_;
  found.batch = batch.id;
  found.input_file = batch.input_file_id.value_or(FileId{"unknown"});
  const bool over = is_terminal(batch.status);
  std::vector<FileId> files;
  if (batch.input_file_id) files.push_back(*batch.input_file_id);
  if (over && batch.output_file_id) files.push_back(*batch.output_file_id);
  if (over && batch.error_file_id) files.push_back(*batch.error_file_id);
  for (const FileId& file : files) {
    LineReader reader(found);
    ByteSink sink = [&reader](std::string_view bytes) { return reader.feed(bytes); };
    const auto read = co_await provider_.download(file, sink);
    reader.end();
    if (read.has_error() && read.error().kind != ErrorKind::not_found) {
      warn("download.failed", batch.id, read.error());
      co_return std::nullopt;
    }
    const bool is_input = file == batch.input_file_id;
    if (read.has_value() && is_input) break;  // it names them all
  }
  if (over) found.tokens = 0;  // it holds nothing any more
  co_return found;
}

Task<bool> WatchStage::recover(const Candidate& lost) {
  const Batch& batch = lost.batch;
  const bool over = is_terminal(batch.status);
  if (over) {
    const std::optional<bool> gone = co_await answers_gone(batch);
    if (!gone) co_return false;
    if (*gone) {
      co_await record_lost(batch, lost.books);
      co_return true;
    }
  }
  auto found = co_await learn(batch);
  if (!found) co_return false;
  if (found->lines.empty()) {
    if (!over) co_return false;  // when it has ended, its answers will tell
    const bool answered = batch.counts && batch.counts->completed > 0;
    if (answered) {
      co_await record_lost(batch, lost.books);
    } else {
      const Stray stray = stray_of(batch, *lost.books.shard, lost.books.attempt);
      co_await context_.store.record_stray(provider_name_, StrayKind::harmless, stray);
    }
    co_return true;
  }
  found->shard = lost.books.shard;
  found->attempt = lost.books.attempt;
  const std::optional<BoundShard> bound = co_await context_.store.bind_found(context_.session.term(), *found);
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
