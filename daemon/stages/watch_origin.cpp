// The part of the watch stage that finds out, after a loss of commits, whose a batch is that does not say so itself: the name of
// its input file says for which shard it was uploaded (P8), and the file's lines say what was asked. Numbers are given out again
// by a database that has forgotten them, so that a number alone never decides what an answer belongs to.
#include "stages/list_walk.hpp"
#include "stages/watch.hpp"

#include <algorithm>

namespace batchd {

Task<void> WatchStage::learn_origin(Batch& batch, Survey& survey) {
  if (!batch.metadata.empty() || !batch.input_file_id || strangers_.contains(batch.id)) co_return;
  const auto file = co_await provider_.retrieve_file(*batch.input_file_id);
  if (file.has_error()) {
    if (file.error().kind != ErrorKind::not_found) warn("retrieve_file.failed", batch.id, file.error());
    if (inputs_.prove(batch.id, file.error(), most_missing)) {
      strangers_.insert(batch.id);
    } else {
      ++survey.unsettled;
    }
    co_return;
  }
  inputs_.seen(batch.id);
  const auto name = parse_input_file_name(file->filename);
  if (name && name->instance == context_.instance) {
    batch.metadata = batch_metadata(name->instance, name->shard, name->attempt);
  } else {
    strangers_.insert(batch.id);
  }
}

Task<bool> WatchStage::learn_input(Batch& batch, const BookEntry& books) {
  if (batch.input_file_id || books.input_file) co_return true;
  const std::string name = input_file_name(context_.instance, *books.shard, books.attempt);
  std::optional<std::int64_t> latest;
  const auto take = [&](const RemoteFile& file) {
    // Of several uploads under the name the last one before the batch: the others are older tries, or made since.
    const bool too_late = file.created_at && batch.created_at && *file.created_at > *batch.created_at;
    if (file.filename != name || too_late || (latest && file.created_at <= latest)) return true;
    batch.input_file_id = file.id;
    latest = file.created_at;
    return true;
  };
  std::function<bool(const RemoteFile&)> visit = take;
  const auto walked = co_await walk_files(provider_, std::move(visit));
  if (walked.has_error()) warn("list_files.failed", batch.id, walked.error());
  co_return walked.has_value() && *walked != WalkEnd::incomplete;
}

Task<WatchStage::Origin> WatchStage::compare(const Candidate& found, const Shard& shard) {
  const Batch& batch = found.batch;
  if (!batch.input_file_id) co_return Origin::untold;
  if (batch.input_file_id == shard.input_file) co_return Origin::same;
  SentLines lines;
  const Learnt learnt = co_await read_sent(batch.id, *batch.input_file_id, lines);
  if (learnt == Learnt::later) co_return Origin::later;
  if (learnt == Learnt::gone) co_return Origin::untold;
  const ShardContents contents = co_await context_.store.contents(shard.id);
  const std::vector<CustomId> same = lines.same();
  const auto is_member = [&contents](const CustomId& line) { return contents.members.rank(line.request).has_value(); };
  const bool all_same = same.size() == lines.size() && std::all_of(same.begin(), same.end(), is_member);
  co_return all_same ? Origin::same : Origin::other;
}

}  // namespace batchd
