// Deciding a chunk of a shard's members: answers by COPY, returns, the bitmap and the counters, in one transaction.
#include "db/bulk.hpp"
#include "db/pg_store_money.hpp"
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace batchd {
namespace {

constexpr char copy_answers[] =
    "COPY batchd.answer (request_id, outcome, status_code, response, error, input_tokens, output_tokens, provider_request_id, "
    "shard_id,"
    " attempt) FROM STDIN (FORMAT binary)";

/// What a chunk changes in one flow's counters.
struct FlowChange {
  std::int64_t returned = 0;
  std::int64_t outcomes[4] = {};
  Tokens input = 0;
  Tokens output = 0;
};
using FlowChanges = std::map<FlowId, FlowChange>;

std::size_t rank_of(const ShardContents& contents, RequestId request) {
  const auto rank = contents.members.rank(request);
  if (!rank) throw std::logic_error("request " + std::to_string(request.value) + " is not a member of the shard being settled");
  return *rank;
}

FlowChanges count(const ShardContents& contents, const SettleChunk& chunk) {
  FlowChanges changes;
  for (const Settlement& s : chunk.settled) {
    FlowChange& change = changes[contents.members.flow_at(rank_of(contents, s.request))];
    ++change.outcomes[static_cast<int>(s.outcome)];
    if (s.usage) {
      change.input += s.usage->input;
      change.output += s.usage->output;
    }
  }
  for (const Return& r : chunk.returned) ++changes[contents.members.flow_at(rank_of(contents, r.request))].returned;
  return changes;
}

/// The bitmap as it must be stored before the chunk is applied.
std::string bitmap_before(const ShardContents& contents, const SettleChunk& chunk) {
  std::string bytes = contents.decided.bytes();
  const auto clear = [&](RequestId request) {
    const std::size_t rank = rank_of(contents, request);
    if (!contents.decided.test(rank)) throw std::logic_error("a request of a settled chunk is not marked as decided");
    bytes[rank / 8] = static_cast<char>(static_cast<unsigned char>(bytes[rank / 8]) & ~(1U << (rank % 8)));
  };
  for (const Settlement& s : chunk.settled) clear(s.request);
  for (const Return& r : chunk.returned) clear(r.request);
  return bytes;
}

int attempts_before(const ShardContents& contents, RequestId request) {
  const auto found = contents.attempts.find(request);
  return found == contents.attempts.end() ? 0 : found->second;
}

void copy_in(BulkTransaction& tx, ShardId shard, bool ran, const ShardContents& contents,
             const std::vector<Settlement>& settled) {
  tx.begin_copy_in(copy_answers);
  CopyRows rows;
  for (const Settlement& s : settled) {
    rows.row(10);
    rows.int8(s.request.value);
    rows.text(to_string(s.outcome));
    s.status_code ? rows.int4(*s.status_code) : rows.null();
    rows.text_or_null(s.response);
    rows.text_or_null(s.error);
    s.usage ? rows.int8(s.usage->input) : rows.null();
    s.usage ? rows.int8(s.usage->output) : rows.null();
    rows.text_or_null(s.provider_request_id);
    rows.int8(shard.value);
    rows.int2(static_cast<std::int16_t>(attempts_before(contents, s.request) + (ran ? 1 : 0)));
    if (rows.bytes().size() >= flush_bytes) {
      tx.put(rows.bytes());
      rows.clear();
    }
  }
  rows.end();
  tx.put(rows.bytes());
  tx.end_copy_in();
}

void queue_again(BulkTransaction& tx, const ShardContents& contents, const std::vector<Return>& returned) {
  const auto id = [](const Return& r) { return r.request.value; };
  tx.run(queries::queue_again,
         {array_of(returned, id),
          array_of(returned, [&](const Return& r) { return contents.members.flow_at(rank_of(contents, r.request)).value; }),
          array_of(returned, [](const Return& r) { return r.delay.count(); })});
  std::vector<Return> noted;
  for (const Return& r : returned) {
    if (r.attempts > 0 || !r.error.empty()) noted.push_back(r);
  }
  if (noted.empty()) return;
  tx.run(queries::note_attempts, {array_of(noted, id), array_of(noted, [](const Return& r) { return r.attempts; }),
                                  text_array_of(noted, [](const Return& r) -> const std::string& { return r.error; })});
}

void announce(BulkTransaction& tx, const FlowChanges& changes) {
  const auto outcomes = [&](Outcome outcome) {
    return array_of(changes, [outcome](const auto& c) { return c.second.outcomes[static_cast<int>(outcome)]; });
  };
  tx.run(queries::count_settled, {array_of(changes, [](const auto& c) { return c.first.value; }),
                                  array_of(changes, [](const auto& c) { return c.second.returned; }),
                                  outcomes(Outcome::succeeded), outcomes(Outcome::failed), outcomes(Outcome::cancelled),
                                  outcomes(Outcome::expired), array_of(changes, [](const auto& c) { return c.second.input; }),
                                  array_of(changes, [](const auto& c) { return c.second.output; })});
}

void forget_attempts(BulkTransaction& tx, const ShardContents& contents, const std::vector<Settlement>& settled) {
  std::vector<RequestId> tried;
  for (const Settlement& s : settled) {
    if (contents.attempts.contains(s.request)) tried.push_back(s.request);
  }
  if (!tried.empty()) tx.run(queries::forget_attempts, {array_of(tried, [](RequestId id) { return id.value; })});
}

void drop_wishes(BulkTransaction& tx, const std::vector<Settlement>& settled) {
  const auto by_id = [](const Settlement& a, const Settlement& b) { return a.request < b.request; };
  const auto [first, last] = std::minmax_element(settled.begin(), settled.end(), by_id);
  tx.run(queries::drop_wishes, {std::to_string(first->request.value), std::to_string(last->request.value)});
}

bool settle_chunk(Database& database, Term term, ShardId shard, const ShardContents& contents, const SettleChunk& chunk) {
  if (chunk.settled.empty() && chunk.returned.empty()) return true;
  const FlowChanges changes = count(contents, chunk);
  const std::string before = bitmap_before(contents, chunk);
  BulkTransaction tx(database, database.settings().bulk_timeout);
  const Rows locked = tx.run(queries::lock_settling, {std::to_string(shard.value), std::to_string(term.value)});
  if (locked.size() == 0) return false;
  std::string stored = from_hex(locked.at(0, 2));
  if (stored.empty()) stored.assign(before.size(), '\0');
  // The same chunk again, after a COMMIT whose answer was lost: all of it is there.
  if (stored == contents.decided.bytes()) return true;
  if (stored != before) return false;
  const bool ran = locked.at(0, 0) == "finished" &&
                   (locked.at(0, 1) == "ran" || locked.at(0, 1) == "expired" || locked.at(0, 1) == "cancelled");
  if (!chunk.settled.empty()) {
    copy_in(tx, shard, ran, contents, chunk.settled);
    forget_attempts(tx, contents, chunk.settled);
    drop_wishes(tx, chunk.settled);
  }
  if (!chunk.returned.empty()) queue_again(tx, contents, chunk.returned);
  tx.run(queries::store_progress, {std::to_string(shard.value), to_hex(contents.decided.bytes())});
  announce(tx, changes);
  if (!chunk.returned.empty()) {
    tx.run(queries::cancel_wished, {array_of(chunk.returned, [](const Return& r) { return r.request.value; })});
  }
  settle_money(tx, shard, contents, chunk);
  tx.commit();
  return true;
}

}  // namespace

Task<bool> PgStore::settle(Term term, ShardId shard, const ShardContents& contents, SettleChunk chunk) {
  // The caller awaits this, so that its contents outlive the work.
  return run([&db = database_, term, shard, &contents, chunk = std::move(chunk)] {
    return settle_chunk(db, term, shard, contents, chunk);
  });
}

}  // namespace batchd
