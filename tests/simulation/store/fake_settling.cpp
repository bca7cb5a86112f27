// Deciding a shard's members: what it holds, answers, returns and the bitmap in one transaction; cutting parts off a refused one.
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>
#include <stdexcept>

namespace batchd::simulation {
namespace {

void clear_bit(std::string& bytes, std::size_t rank) {
  bytes[rank / 8] = static_cast<char>(static_cast<unsigned char>(bytes[rank / 8]) & ~(1U << (rank % 8)));
}

std::size_t rank_of(const ShardContents& contents, RequestId request) {
  const auto rank = contents.members.rank(request);
  if (!rank) throw std::logic_error("request " + std::to_string(request.value) + " is not a member of the shard being settled");
  return *rank;
}

/// The bitmap as it must be stored before the chunk is applied.
std::string bitmap_before(const ShardContents& contents, const SettleChunk& chunk) {
  std::string bytes = contents.decided.bytes();
  const auto clear = [&](RequestId request) {
    const std::size_t rank = rank_of(contents, request);
    if (!contents.decided.test(rank)) throw std::logic_error("a request of a settled chunk is not marked as decided");
    clear_bit(bytes, rank);
  };
  for (const Settlement& s : chunk.settled) clear(s.request);
  for (const Return& r : chunk.returned) clear(r.request);
  return bytes;
}

std::string bitmap_before(const ShardContents& contents, const std::vector<IdRange>& part) {
  std::string bytes = contents.decided.bytes();
  for (const IdRange& range : part) {
    for (std::int64_t id = range.first; id <= range.last; ++id) {
      const auto rank = contents.members.rank(RequestId{id});
      if (!rank || !contents.decided.test(*rank)) throw std::logic_error("a part of a shard must be marked as cut off");
      clear_bit(bytes, *rank);
    }
  }
  return bytes;
}

bool used_an_attempt(const Shard& shard) {
  return shard.state == ShardState::finished &&
         (shard.finish_reason == FinishReason::ran || shard.finish_reason == FinishReason::expired ||
          shard.finish_reason == FinishReason::cancelled);
}

AnswerRow answer_of(const Settlement& s, ShardId shard, int attempt, Instant now) {
  AnswerRow answer;
  answer.outcome = s.outcome;
  answer.status_code = s.status_code;
  answer.response = s.response;
  answer.error = s.error;
  answer.usage = s.usage;
  answer.provider_request_id = s.provider_request_id;
  answer.finished_at = now;
  answer.shard = shard;
  answer.attempt = attempt;
  return answer;
}

/// The parts of a shard's rows of shard_member that lie in `part`.
Members cut_out(const Members& members, const std::vector<IdRange>& part) {
  std::vector<MemberChunk> chunks;
  for (const MemberChunk& chunk : members.chunks()) {
    std::vector<IdRange> ranges;
    for (const IdRange& range : chunk.ranges) {
      for (const IdRange& cut : part) {
        const IdRange both{std::max(range.first, cut.first), std::min(range.last, cut.last)};
        if (both.first <= both.last) ranges.push_back(both);
      }
    }
    std::sort(ranges.begin(), ranges.end(), [](const IdRange& a, const IdRange& b) { return a.first < b.first; });
    if (!ranges.empty()) chunks.push_back({chunk.flow, std::move(ranges)});
  }
  return Members(std::move(chunks));
}

}  // namespace

ShardContents FakeDatabase::contents(ShardId id) const {
  ShardContents contents;
  const ShardRow* const row = find_live(id);
  if (row == nullptr) return contents;
  contents.members = row->members;
  contents.tariff = tariff_of(*row);
  const std::size_t size = contents.members.size();
  contents.decided = row->decided.empty() ? Bitmap(size) : Bitmap(row->decided, size);
  for (const MemberChunk& chunk : contents.members.chunks()) {
    for (const IdRange& range : chunk.ranges) {
      for (std::int64_t request = range.first; request <= range.last; ++request) {
        const RequestRow* const member = find_request(RequestId{request});
        if (member != nullptr && member->attempts) contents.attempts.emplace(member->id, *member->attempts);
      }
    }
  }
  return contents;
}

void FakeDatabase::read_bodies(ShardId, const ShardContents& contents, const BodySink& sink) const {
  for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
    if (contents.decided.test(rank)) continue;
    const RequestRow* const row = find_request(contents.members.at(rank));
    if (row != nullptr && !sink(row->id, row->body)) return;
  }
}

ShardRow* FakeDatabase::lock_settling(ShardId id, Term term) {
  ShardRow* const row = find_live(id);
  if (row == nullptr || row->shard.state == ShardState::merged) return nullptr;
  if (!without(Mutant::term_check) && (row->owner != term || !is_alive(term))) return nullptr;
  return row;
}

void FakeDatabase::check_chunk(const SettleChunk& chunk) const {
  std::vector<RequestId> ids;
  for (const Settlement& s : chunk.settled) {
    const RequestRow* const row = find_request(s.request);
    if (row == nullptr || row->answer) server_->violated("answer_pkey: request " + std::to_string(s.request.value));
    if (s.outcome != Outcome::succeeded && s.error.empty()) {
      server_->violated("answer_says_what_went_wrong: request " + std::to_string(s.request.value));
    }
    ids.push_back(s.request);
  }
  const std::size_t settled = ids.size();
  for (const Return& r : chunk.returned) {
    const RequestRow* const row = find_request(r.request);
    if (row == nullptr || row->due_at) server_->violated("retry_pkey: request " + std::to_string(r.request.value));
    ids.push_back(r.request);
  }
  const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(settled);
  std::sort(ids.begin(), middle);
  std::sort(middle, ids.end());
  if (std::adjacent_find(ids.begin(), middle) != middle) server_->violated("answer_pkey: a request twice in a chunk");
  if (std::adjacent_find(middle, ids.end()) != ids.end()) server_->violated("retry_pkey: a request twice in a chunk");
}

bool FakeDatabase::settle(Term term, ShardId id, const ShardContents& contents, const SettleChunk& chunk) {
  if (chunk.settled.empty() && chunk.returned.empty()) return true;
  const std::string before = bitmap_before(contents, chunk);
  ShardRow* const row = lock_settling(id, term);
  if (row == nullptr) return false;
  const std::string stored = row->decided.empty() ? std::string(before.size(), '\0') : row->decided;
  if (!without(Mutant::settle_once)) {
    if (stored == contents.decided.bytes()) return true;
    if (stored != before) return false;
  }
  check_chunk(chunk);
  const Instant now = server_->clock();
  std::map<std::size_t, Counts> counted;
  for (const Settlement& s : chunk.settled) {
    const auto known = contents.attempts.find(s.request);
    const int attempts = known == contents.attempts.end() ? 0 : known->second;
    store_answer(*find_request(s.request), answer_of(s, id, attempts + (used_an_attempt(row->shard) ? 1 : 0), now),
                 known != contents.attempts.end());
    Counts& counts = counted[find_request(s.request)->flow];
    ++counts.outcomes[static_cast<int>(s.outcome)];
    --counts.in_flight;
    if (!s.usage) continue;
    counts.input += s.usage->input;
    counts.output += s.usage->output;
  }
  std::vector<RequestId> returned;
  for (const Return& r : chunk.returned) {
    RequestRow& request = *find_request(r.request);
    queue_again(request, now + r.delay);
    if (r.attempts > 0 || !r.error.empty()) {
      request.attempts = r.attempts;
      if (!r.error.empty()) request.attempt_error = r.error;
    }
    ++counted[request.flow].returned;
    --counted[request.flow].in_flight;
    returned.push_back(r.request);
  }
  if (!without(Mutant::bitmap)) row->decided = contents.decided.bytes();
  for (const auto& [flow, counts] : counted) announce(flow, counts);
  count_money(*row, contents, chunk);
  if (!wishes_.empty()) cancel_returned(returned, true);
  return true;
}

void FakeDatabase::store_answer(RequestRow& row, AnswerRow answer, bool had_attempts) {
  row.answer = std::move(answer);
  if (had_attempts) {
    row.attempts.reset();
    row.attempt_error.clear();
  }
  forget_wish(row);  // a paid answer wins
}

bool FakeDatabase::split(Term term, ShardId id, const ShardContents& contents, const std::vector<IdRange>& part, bool trial) {
  std::int64_t requests = 0;
  for (const IdRange& range : part) requests += range.last - range.first + 1;
  const std::string before = bitmap_before(contents, part);
  ShardRow* parent = lock_settling(id, term);
  if (parent == nullptr) return false;
  const std::string stored = parent->decided.empty() ? std::string(before.size(), '\0') : parent->decided;
  if (!without(Mutant::settle_once)) {
    if (stored == contents.decided.bytes()) return true;  // the same again, after a COMMIT whose answer was lost
    if (stored != before) return false;
  }
  if (!takes_work(parent->shard.provider))
    throw StoreError("not split before its provider's list has been compared with the books");
  const Instant now = server_->clock();
  const std::optional<Instant> suspect_since = parent->suspect_since ? parent->suspect_since : parent->finished_at;
  ShardRow made;
  made.shard.id = next_shard();
  made.shard.lane = parent->shard.lane;
  made.shard.deployment = parent->shard.deployment;
  made.shard.provider = parent->shard.provider;
  made.shard.priority = parent->shard.priority;
  made.shard.requests = requests;
  made.shard.bytes = parent->shard.bytes * requests / parent->shard.requests;
  made.shard.tokens = parent->shard.tokens * requests / parent->shard.requests;
  made.deadline = parent->deadline;
  made.members = cut_out(parent->members, part);
  made.due_at = made.created_at = made.state_at = now;
  check_shard(made.shard);
  if (trial) {
    made.suspect_since = suspect_since;
    parent->suspect_since = suspect_since;
    parent->trial = made.shard.id;
  }
  parent->decided = contents.decided.bytes();
  insert_shard(std::move(made));
  return true;
}

}  // namespace batchd::simulation
