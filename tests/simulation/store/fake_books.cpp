// The books: what was posted, what became of it, and the batches that this does not explain.
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>

namespace batchd::simulation {
namespace {

constexpr Instant fenced_lately = std::chrono::hours{48};
constexpr std::size_t strays_most = 100;

template <class Id>
std::string text_of(const std::optional<Id>& id) {
  return id ? id->value : std::string{};
}

template <class Id>
std::optional<Id> remote_id(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(Id{text});
}

template <class Strays>
auto* find_stray(Strays& strays, std::string_view provider, const BatchId& batch) {
  const auto at = std::find_if(strays.begin(), strays.end(),
                               [&](const StrayRow& row) { return row.stray.batch == batch && row.provider == provider; });
  return at == strays.end() ? nullptr : &*at;
}

template <class Id>
void note_file(std::optional<Id>& known, const std::optional<Id>& told) {
  if (told && !told->value.empty()) known = told;
}

void first_time(std::optional<Instant>& at, bool happened, Instant now) {
  if (happened && !at) at = now;
}

}  // namespace

bool announces(const Shard& before, const Shard& after) {
  return !before.intent && after.intent;
}

bool was_found(const Shard& before, const Shard& after) {
  return after.state == ShardState::submitted && before.state != ShardState::submitted && !before.intent;
}

void FakeDatabase::check_books(const Shard& before, const Shard& after) const {
  if (!announces(before, after)) return;
  if (submissions_.contains({after.id, after.attempt})) {
    server_->violated("submission_pkey: attempt " + std::to_string(after.attempt) + " of shard " +
                      std::to_string(after.id.value) + " is announced a second time");
  }
}

void FakeDatabase::keep_books(const Shard& before, const Shard& after) {
  const Instant now = server_->clock();
  if (announces(before, after)) {
    SubmissionRow row;
    row.provider = after.provider;
    row.input_file = text_of(after.input_file);
    row.announced_at = now;
    submissions_.insert_or_assign({after.id, after.attempt}, std::move(row));
  }
  if (was_found(before, after)) book_found({after.id, after.found_attempt}, after.provider, *after.input_file, *after.batch, now);
  if (!before.intent || after.intent) return;
  const auto row = submissions_.find({before.id, before.attempt});
  if (row == submissions_.end()) return;
  const bool created = after.state == ShardState::submitted;
  const bool fenced = after.state == ShardState::planned;
  row->second.answer = created ? PostAnswer::created : fenced ? PostAnswer::fenced : PostAnswer::not_created;
  row->second.answered_at = now;
  row->second.batch = created ? text_of(after.batch) : std::string();
}

void FakeDatabase::book_found(std::pair<ShardId, int> post, const std::string& provider, const FileId& input_file,
                              const BatchId& batch, Instant now) {
  const auto [row, is_new] = submissions_.try_emplace(post);
  SubmissionRow& sent = row->second;
  if (is_new) sent = {provider, input_file.value, now, PostAnswer::created, {}, {}};
  sent.answer = PostAnswer::created;
  sent.answered_at = now;
  sent.batch = batch.value;
}

const std::pair<const std::pair<ShardId, int>, SubmissionRow>* FakeDatabase::sent_with(std::string_view provider,
                                                                                       const Claim& claim) const {
  const std::pair<const std::pair<ShardId, int>, SubmissionRow>* best = nullptr;
  if (!claim.input_file) return best;
  const auto rank = [&](const auto& entry) {
    const SubmissionRow& row = entry.second;
    return std::tuple(row.batch == claim.batch.value, row.answer == PostAnswer::open, entry.first.second);
  };
  for (const auto& entry : submissions_) {
    if (entry.second.input_file != claim.input_file->value || entry.second.provider != provider) continue;
    if (best == nullptr || rank(entry) > rank(*best)) best = &entry;
  }
  return best;
}

const ShardRow* FakeDatabase::uploaded_as(std::string_view provider, const Claim& claim) const {
  if (!claim.input_file) return nullptr;
  for (const auto* const table : {&live_, &closed_}) {
    for (const ShardRow& row : *table) {
      if (row.shard.input_file == claim.input_file && row.shard.provider == provider) return &row;
    }
  }
  return nullptr;
}

BookEntry FakeDatabase::look_up(std::string_view provider, const Claim& claim) const {
  BookEntry entry;
  std::pair<ShardId, int> key{claim.shard.value_or(ShardId{0}), claim.attempt};
  if (key.first.value <= 0) {
    if (const auto* const sent = sent_with(provider, claim)) {
      key = sent->first;
    } else if (const ShardRow* const held = uploaded_as(provider, claim)) {
      key = {held->shard.id, held->shard.attempt};
    } else {
      return entry;
    }
  }
  entry.shard = key.first;
  entry.attempt = key.second;
  const ShardRow* row = find_shard(key.first);
  if (row != nullptr && row->shard.provider != provider) row = nullptr;
  entry.retired = row == nullptr && key.first.value <= instance_.retired_through;
  entry.recorded = find_stray(strays_, provider, claim.batch) != nullptr || holder_of(provider, claim.batch) != nullptr;
  const auto sent = submissions_.find(key);
  if (sent != submissions_.end() && sent->second.provider == provider) {
    entry.announced = true;
    entry.batch = remote_id<BatchId>(sent->second.batch);
    entry.input_file = remote_id<FileId>(sent->second.input_file);
  }
  if (row != nullptr) {
    const Shard& s = row->shard;
    entry.held = BookEntry::Held{s.state, s.attempt, s.intent, s.batch, s.requests};
  }
  return entry;
}

std::vector<BookEntry> FakeDatabase::look_up(std::string_view provider, const std::vector<Claim>& claims) const {
  std::vector<BookEntry> entries;
  entries.reserve(claims.size());
  for (const Claim& claim : claims) entries.push_back(look_up(provider, claim));
  return entries;
}

const ShardRow* FakeDatabase::holder_of(std::string_view provider, const BatchId& batch) const {
  for (const auto* const table : {&live_, &closed_}) {
    for (const ShardRow& row : *table) {
      if (row.shard.batch == batch && row.shard.provider == provider) return &row;
    }
  }
  return nullptr;
}

bool FakeDatabase::wants_walks(std::string_view provider) const {
  const Instant since = server_->clock() - fenced_lately;
  const auto was_fenced = [&](const auto& entry) {
    const SubmissionRow& row = entry.second;
    return row.answer == PostAnswer::fenced && row.provider == provider && row.answered_at && *row.answered_at > since;
  };
  const auto is_open = [&](const StrayRow& row) {
    return row.provider == provider && row.kind == StrayKind::duplicate && !row.done_at;
  };
  return std::any_of(strays_.begin(), strays_.end(), is_open) ||
         std::any_of(submissions_.begin(), submissions_.end(), was_fenced);
}

bool FakeDatabase::record_stray(std::string_view provider, StrayKind kind, const Stray& stray) {
  if (has_moved() || find_stray(strays_, provider, stray.batch) != nullptr) return false;
  StrayRow row;
  row.provider = std::string(provider);
  row.kind = kind;
  row.stray = stray;
  row.stray.used = false;
  row.found_at = server_->clock();
  first_time(row.over_at, stray.over, row.found_at);
  first_time(row.done_at, kind != StrayKind::duplicate, row.found_at);
  // In the order of found_at, which a clock that was set back makes another one than that of the calls.
  const auto place = std::upper_bound(strays_.begin(), strays_.end(), row.found_at,
                                      [](Instant at, const StrayRow& other) { return at < other.found_at; });
  strays_.insert(place, std::move(row));
  return true;
}

Stray FakeDatabase::shown(const StrayRow& row, Instant now) const {
  Stray stray;
  stray.batch = row.stray.batch;
  stray.shard = row.stray.shard;
  stray.attempt = row.stray.attempt;
  stray.status = row.stray.status;
  note_file(stray.input_file, row.stray.input_file);
  note_file(stray.output_file, row.stray.output_file);
  note_file(stray.error_file, row.stray.error_file);
  stray.over = row.over_at.has_value();
  stray.used = row.used_at.has_value();
  stray.age = to_milliseconds(now - row.found_at);
  if (row.over_at) stray.idle = to_milliseconds(now - *row.over_at);
  return stray;
}

std::vector<Stray> FakeDatabase::open_strays(std::string_view provider) const {
  std::vector<Stray> strays;
  if (has_moved()) return strays;
  const Instant now = server_->clock();
  for (const StrayRow& row : strays_) {
    if (row.provider != provider || row.kind != StrayKind::duplicate || row.done_at) continue;
    if (strays.size() == strays_most) break;
    strays.push_back(shown(row, now));
    if (const ShardRow* const holder = find_shard(row.stray.shard)) strays.back().holder = holder->shard.state;
  }
  return strays;
}

std::vector<Stray> FakeDatabase::strays_of(ShardId shard) const {
  std::vector<Stray> strays;
  const Instant now = server_->clock();
  for (const StrayRow& row : strays_) {
    if (row.stray.shard == shard && row.kind == StrayKind::duplicate && !row.done_at) strays.push_back(shown(row, now));
  }
  return strays;
}

void FakeDatabase::update_stray(std::string_view provider, const Stray& stray, bool done) {
  StrayRow* const row = find_stray(strays_, provider, stray.batch);
  if (row == nullptr) return;
  const Instant now = server_->clock();
  row->stray.status = stray.status;
  note_file(row->stray.output_file, stray.output_file);
  note_file(row->stray.error_file, stray.error_file);
  first_time(row->over_at, stray.over, now);
  if (stray.used && !row->used_at && server_->on_stray_used) server_->on_stray_used(stray.batch);
  first_time(row->used_at, stray.used, now);
  first_time(row->done_at, done, now);
}

void FakeDatabase::skip_shards(ShardId through) {
  if (!without(Mutant::shard_numbers)) shard_sequence_ = std::max(shard_sequence_, through.value);
}

}  // namespace batchd::simulation
