// Files at a provider that no shard knows of: when to look for them, and what the books say about them.
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>
#include <limits>

namespace batchd::simulation {
namespace {

constexpr Instant suspicion_lasts = std::chrono::minutes{10};
constexpr Instant soon = std::chrono::minutes{3};
constexpr Instant hour = std::chrono::hours{1};

}  // namespace

void FakeDatabase::suspect_orphans(std::string_view provider) {
  const Instant now = server_->clock();
  const auto [search, is_new] = orphan_searches_.try_emplace(std::string(provider), OrphanRow{now, now, 0, {}});
  if (is_new) return;
  search->second.due_at = std::min(search->second.due_at, now);
  search->second.suspected_at = now;
}

bool FakeDatabase::may_judge_files(std::string_view provider) const {
  return !has_moved() && (is_trusted(provider) || without(Mutant::orphan_gate));
}

std::optional<OrphanTask> FakeDatabase::orphans_due(std::string_view provider) const {
  const auto search = orphan_searches_.find(provider);
  if (search == orphan_searches_.end() || search->second.due_at > server_->clock() || !may_judge_files(provider)) {
    return std::nullopt;
  }
  return OrphanTask{std::to_string(search->second.suspected_at.count())};
}

FileBooks FakeDatabase::file_books(std::string_view provider, const std::vector<ShardId>& shards) const {
  FileBooks books;
  books.trusted = may_judge_files(provider);
  if (!books.trusted) return books;
  for (const ShardId id : shards) {
    const auto end = submissions_.upper_bound({id, std::numeric_limits<int>::max()});
    for (auto entry = submissions_.lower_bound({id, std::numeric_limits<int>::min()}); entry != end; ++entry) {
      const SubmissionRow& row = entry->second;
      const bool may_exist = row.answer == PostAnswer::open || row.answer == PostAnswer::created;
      if (may_exist && row.provider == provider) books.needed.insert(FileId{row.input_file});
    }
    const ShardRow* const row = find_shard(id);
    if (row == nullptr) continue;
    FileOwner owner;
    owner.input_file = row->shard.input_file;
    owner.attempt = row->shard.attempt;
    owner.planned = row->shard.state == ShardState::planned;
    owner.uploading = owner.planned && row->owner && is_alive(*row->owner);
    books.shards.emplace(id, std::move(owner));
  }
  return books;
}

FileSlots FakeDatabase::file_slots(std::string_view provider) const {
  FileSlots slots;
  for (const ShardRow& row : live_) {
    const Shard& s = row.shard;
    if (s.provider != provider) continue;
    slots.inputs += s.input_file ? 1 : 0;
    slots.results += (s.output_file ? 1 : 0) + (s.error_file ? 1 : 0);
    slots.coming += s.state == ShardState::uploaded || s.state == ShardState::submitted ? 2 : 0;
  }
  if (const auto search = orphan_searches_.find(provider); search != orphan_searches_.end()) {
    slots.others = search->second.others;
    if (search->second.counted_at) slots.counted = to_milliseconds(server_->clock() - *search->second.counted_at);
  }
  return slots;
}

void FakeDatabase::orphans_swept(Term term, std::string_view provider, const OrphanTask& task, std::int64_t others) {
  const auto search = orphan_searches_.find(provider);
  if (search == orphan_searches_.end() || !is_alive(term)) return;
  if (std::to_string(search->second.suspected_at.count()) != task.mark) return;
  const Instant now = server_->clock();
  search->second.others = others;
  search->second.counted_at = now;
  const Instant later = hour + Instant{server_->dice().between(std::int64_t{0}, (hour / 10).count())};
  search->second.due_at = now + (search->second.suspected_at > now - suspicion_lasts ? soon : later);
}

}  // namespace batchd::simulation
