#include "stages/orphans.hpp"

#include "core/list_guard.hpp"
#include "core/remote_names.hpp"

#include <algorithm>

namespace batchd {

Task<int> OrphanStage::run_once() {
  if (!started_ || context_.suspected.contains(provider_name_)) {
    // A start is a suspicion too: who was here before may have died in the middle of an upload.
    co_await context_.store.suspect_orphans(provider_name_);
    context_.suspected.erase(provider_name_);
    started_ = true;
  }
  if (context_.clock.now() < not_before_) co_return 0;
  const auto due = co_await context_.store.orphans_due(provider_name_);
  if (!due) co_return 0;
  const Term term = context_.session.term();
  if (!co_await context_.store.hold_role(term, name())) co_return 0;
  undecided_ = false;
  listed_ = {};
  const FileSlots before = co_await context_.store.file_slots(provider_name_);
  if (!co_await sweep(term)) co_return 0;
  if (undecided_) {
    put_off(std::nullopt);
    co_return 0;
  }
  failures_ = 0;
  const FileSlots after = co_await context_.store.file_slots(provider_name_);
  co_await context_.store.orphans_swept(term, provider_name_, *due, count_others(listed_, before, after));
  co_return 0;
}

Milliseconds OrphanStage::pause() const {
  const auto left = std::chrono::duration_cast<Milliseconds>(not_before_ - context_.clock.now()) + Milliseconds{1};
  return left.count() > 0 ? std::min(left, Stage::pause()) : Stage::pause();
}

Task<bool> OrphanStage::sweep(Term term) {
  ListGuard guard;
  std::optional<std::string> cursor;
  for (;;) {
    if (!context_.session.trusted(term) || context_.session.handing_back()) co_return false;
    auto page = co_await provider_.list_files(cursor);
    if (page.has_error()) {
      failed("list_files", page.error());
      co_return false;
    }
    std::erase_if(page->files, [&guard](const RemoteFile& file) { return !guard.fresh(file.id.value); });
    count(page->files);
    if (!co_await sweep_page(term, page->files)) co_return false;
    cursor = guard.next(page->next);
    if (!cursor) co_return true;
  }
}

void OrphanStage::count(const std::vector<RemoteFile>& files) {
  for (const RemoteFile& file : files) ++(file.purpose == "batch_output" ? listed_.results : listed_.inputs);
}

Task<bool> OrphanStage::sweep_page(Term term, const std::vector<RemoteFile>& files) {
  std::vector<ShardId> shards;
  for (const RemoteFile& file : files) {
    const auto name = parse_input_file_name(file.filename);
    if (name && name->instance == context_.instance) shards.push_back(name->shard);
  }
  if (shards.empty()) co_return true;
  const FileBooks books = co_await context_.store.file_books(provider_name_, shards);
  for (const RemoteFile& file : files) {
    const FileVerdict verdict = judge_file(file, context_.instance, books, keep_files_);
    undecided_ = undecided_ || verdict == FileVerdict::wait;
    if (verdict == FileVerdict::orphan && !co_await remove(term, file)) co_return false;
  }
  co_return true;
}

Task<bool> OrphanStage::remove(Term term, const RemoteFile& file) {
  if (!context_.session.trusted(term)) co_return false;
  const auto deleted = co_await provider_.delete_file(file.id);
  if (deleted.has_error()) {
    failed("delete_file", deleted.error());
    co_return false;
  }
  --listed_.inputs;
  context_.log.info("file.orphan_deleted", {{"provider", provider_name_}, {"file", file.id.value}, {"filename", file.filename}});
  co_return true;
}

Milliseconds OrphanStage::put_off(std::optional<Milliseconds> asked) {
  const auto seed = static_cast<std::uint64_t>(context_.session.term().value);
  const Milliseconds later = backoff({Milliseconds{1000}, Milliseconds{120'000}}, ++failures_, seed, asked);
  not_before_ = context_.clock.now() + later;
  return later;
}

void OrphanStage::failed(std::string_view step, const ProviderError& error) {
  const Milliseconds later = put_off(error.retry_after);
  context_.log.warn("orphans.failed", {{"provider", provider_name_},
                                       {"step", step},
                                       {"kind", to_string(error.kind)},
                                       {"status", error.status},
                                       {"message", error.message},
                                       {"retry_in_ms", later.count()}});
}

}  // namespace batchd
