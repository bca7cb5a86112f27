// Random steps of those who lease, save and settle.
#include "conformance/differential.hpp"

#include <algorithm>

namespace batchd::conformance {
namespace {

constexpr ShardState states[] = {ShardState::planned, ShardState::uploaded, ShardState::submitted, ShardState::finished,
                                 ShardState::merged};

std::string word_of(SaveResult result) {
  return result == SaveResult::saved ? "saved" : result == SaveResult::lost ? "lost" : "no room";
}

/// Any event that fits, by a number that says which; of batches and files named after the step.
ShardEvent event_for(const Shard& s, std::uint64_t roll, const std::string& name) {
  const std::uint64_t which = roll % 12;
  const Milliseconds later = roll % 3 == 0 ? minutes_and_a_half(static_cast<std::int64_t>(roll % 20)) : Milliseconds{0};
  Batch batch;
  batch.id = BatchId{"batch-" + name};
  batch.status = roll % 2 == 0 ? BatchStatus::validating : BatchStatus::in_progress;
  const ProviderError error{ErrorKind::permanent, 400, "", "no", {}};
  const Found found{batch, 1 + static_cast<int>(roll % static_cast<std::uint64_t>(s.attempt + 1)), FileId{"found-" + name}};
  if (which == 0 && s.state != ShardState::closed) {
    constexpr ErrorKind kinds[] = {ErrorKind::not_found, ErrorKind::cut_short, ErrorKind::unknown};
    return Delayed{later, roll % 5 == 0 ? R"({"code":"answers_lost"})" : "", kinds[roll % 7 % 3]};
  }
  switch (s.state) {
    case ShardState::planned:
      if (which == 1) return GivenUp{};
      if (which == 2) return Refused{error};
      if (which == 3) return found;
      return Uploaded{FileId{"file-" + name}, 1000, static_cast<Tokens>(5 + roll % 60)};
    case ShardState::uploaded:
      if (!s.intent) {
        if (which == 1) return GivenUp{};
        if (which == 2) return FileLost{later, "{}"};
        if (which == 3) return found;
        return Intended{};
      }
      if (which == 1) return NotCreated{error, later};
      if (which == 2) return Refused{error};
      if (which == 3) return NotFoundInList{later};
      if (which == 4) return Fenced{};
      return Created{batch};
    case ShardState::submitted:
      if (which == 1) return Vanished{};
      if (which == 2) return NotRun{later};
      batch.id = *s.batch;
      batch.status = which < 6    ? BatchStatus::completed
                     : which < 8  ? BatchStatus::expired
                     : which < 10 ? BatchStatus::cancelled
                                  : BatchStatus::failed;
      if (which != 11) batch.output_file_id = FileId{"out-" + name};
      return Ended{batch};
    case ShardState::finished:
      return Merged{};
    case ShardState::merged:
      return Closed{};
    case ShardState::closed:
      break;
  }
  return Delayed{};
}

Held* find(Side& side, std::size_t which) {
  return side.held.empty() ? nullptr : &side.held[which % side.held.size()];
}

/// One save, as the holder sees it; the view is as fresh afterwards as the step says.
std::string save_once(Side& s, Held& held, std::uint64_t roll, const std::string& name, bool keep, bool remember) {
  const Shard before = held.shard;
  if (before.state == ShardState::closed) return "closed";
  const ShardEvent event = event_for(before, roll, name);
  Shard after = batchd::apply(before, event);
  if (before.intent && roll / 12 % 25 == 0) {  // a bug in a stage: as if nothing had been announced
    after = before;
    after.intent = false;
    after.reserved = 0;
  }
  const SaveResult result = s.wait(s.store_of(held.term).save(s.terms.at(held.term), before, after, keep));
  if (result == SaveResult::saved && remember) held.shard = after;
  return tell(s, before.id) + " " + std::string(to_string(before.state)) + " -> " + std::string(to_string(after.state)) + "/" +
         std::to_string(event.index()) + ": " + word_of(result);
}

Step save(Plot& plot, const Side& side) {
  auto& dice = plot.dice;
  // Mostly the latest ones: they are most likely to be as they seem.
  const std::size_t recent = std::min<std::size_t>(side.held.size(), 4);
  const std::size_t which = chance(dice, 65) ? side.held.size() - 1 - one_of(dice, recent) : one_of(dice, side.held.size());
  const std::uint64_t roll = dice.next();
  const bool keep = chance(dice, 85);
  const bool remember = chance(dice, 75);
  const int times = chance(dice, 50) ? 1 : 4;
  const std::string name = std::to_string(plot.steps);
  return {
      "save " + std::to_string(which) + " x" + std::to_string(times) + (keep ? ", kept" : "") + (remember ? "" : ", forgotten"),
      [=](Side& s) {
        std::string told;
        for (int i = 0; i < times; ++i) {
          Held* held = find(s, which);
          // The later ones go the usual way.
          const std::uint64_t event = i == 0 ? roll : roll / 12 * 12 + 5;
          if (i > 0 && held->shard.state == ShardState::finished) break;
          told += save_once(s, *held, event, name + "-" + std::to_string(i), keep || i + 1 < times, remember) + "; ";
        }
        return told;
      }};
}

Step lease(Plot& plot, const Side& side) {
  auto& dice = plot.dice;
  const std::size_t term = draw_term(dice, side);
  const ShardState state = states[one_of(dice, 5)];
  const int most = static_cast<int>(dice.between(std::int64_t{1}, std::int64_t{4}));
  const std::size_t busy = dice.next() % 3 == 0 ? one_of(dice, 4) : 0;
  return {"t" + std::to_string(term) + " leases " + std::to_string(most) + " " + std::string(to_string(state)), [=](Side& s) {
            std::vector<ShardId> held;
            for (std::size_t i = 0; i < busy && i < s.held.size(); ++i) held.push_back(s.held[s.held.size() - 1 - i].shard.id);
            const auto shards = s.wait(s.store_of(term).lease(s.terms.at(term), state, most, held));
            for (const Shard& shard : shards) s.held.push_back({term, shard});
            return tell_all(s, shards);
          }};
}

Step lease_again(Plot& plot, const Side& side) {
  auto& dice = plot.dice;
  const std::size_t which = one_of(dice, side.shards.ids().size());
  const std::size_t term = draw_term(dice, side);
  return {"t" + std::to_string(term) + " leases s" + std::to_string(which), [=](Side& s) {
            for (const ShardState state : states) {
              const auto shard = s.wait(s.store_of(term).lease_one(s.terms.at(term), s.shards.ids().at(which), state));
              if (!shard) continue;
              s.held.push_back({term, *shard});
              return tell(s, *shard);
            }
            return std::string("nothing");
          }};
}

/// A number for each request that is the same on both sides and has nothing to do with its rank.
std::uint64_t lot(Side& s, RequestId id, std::uint64_t roll) {
  return simulation::Dice(roll + s.requests.of(id)).next();
}

SettleChunk chunk_for(Side& s, ShardContents& contents, std::uint64_t roll, std::uint64_t share) {
  std::vector<RequestId> ids;
  for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
    if (!contents.decided.test(rank) && lot(s, contents.members.at(rank), roll) % share == 0)
      ids.push_back(contents.members.at(rank));
  }
  std::sort(ids.begin(), ids.end());
  SettleChunk chunk;
  for (const RequestId id : ids) {
    contents.decided.set(contents.members.rank(id).value());
    const std::uint64_t fate = lot(s, id, roll + 1);
    const int used = contents.attempts.contains(id) ? contents.attempts.at(id) : 0;
    if (fate % 3 == 0) {
      const Milliseconds delay = fate % 2 == 0 ? Milliseconds{0} : minutes_and_a_half(static_cast<std::int64_t>(fate % 7));
      chunk.returned.push_back({id, used + static_cast<int>(fate / 7 % 2), delay, fate % 5 == 0 ? "" : R"({"code":"again"})"});
      continue;
    }
    Settlement settled;
    settled.request = id;
    settled.outcome = static_cast<Outcome>(fate / 3 % 4);
    if (fate % 2 == 0) settled.status_code = 200;
    if (settled.outcome == Outcome::succeeded) settled.response = "{\"n\":" + std::to_string(fate % 100) + "}";
    if (settled.outcome != Outcome::succeeded) settled.error = R"({"code":"x"})";
    if (fate % 4 != 0) settled.usage = Usage{static_cast<Tokens>(fate % 9), static_cast<Tokens>(fate % 11)};
    chunk.settled.push_back(std::move(settled));
  }
  return chunk;
}

std::string settle_some(Side& s, const Held& held, std::uint64_t roll, bool stale, std::uint64_t share) {
  HeldContents view;
  view.shard = held.shard.id;
  const auto old = std::find_if(s.contents.rbegin(), s.contents.rend(), [&](const auto& c) { return c.shard == held.shard.id; });
  view.contents = stale && old != s.contents.rend() ? old->contents : s.wait(s.store_of(held.term).contents(held.shard.id));
  s.contents.push_back(view);
  const SettleChunk chunk = chunk_for(s, view.contents, roll, share);
  const bool done = s.wait(s.store_of(held.term).settle(s.terms.at(held.term), held.shard.id, view.contents, chunk));
  if (done) s.settled = Side::Settled{held.term, view, chunk};
  return tell(s, held.shard.id) + tell(s, view.contents) + ": " + yes(done);
}

Step settle(Plot& plot) {
  auto& dice = plot.dice;
  const std::size_t which = static_cast<std::size_t>(dice.next() % 1000);
  const std::uint64_t roll = dice.next();
  const bool stale = chance(dice, 15);
  const bool all = chance(dice, 60);
  return {"settle " + std::string(all ? "all" : "some") + (stale ? " of an old view" : ""), [=](Side& s) {
            // One that is finished, rather than any.
            Held* held = find(s, which);
            for (Held& other : s.held) {
              if (other.shard.state == ShardState::finished && which % 4 != 0) held = &other;
            }
            std::string told = settle_some(s, *held, roll, stale, all ? 1 : 2);
            if (!all || held->shard.state != ShardState::finished) return told;
            const std::string name = std::to_string(roll % 1000);
            told += "; " + save_once(s, *held, 5, name, true, true);
            if (held->shard.state == ShardState::merged && roll % 3 != 0) told += "; " + save_once(s, *held, 5, name, true, true);
            return told;
          }};
}

Step settle_again() {
  return {"settle the last chunk again", [](Side& s) {
            if (!s.settled) return std::string("there is none");
            const auto& again = *s.settled;
            return yes(s.wait(
                s.store_of(again.term).settle(s.terms.at(again.term), again.held.shard, again.held.contents, again.chunk)));
          }};
}

Step split(Plot& plot) {
  auto& dice = plot.dice;
  const std::size_t which = static_cast<std::size_t>(dice.next() % 1000);
  const std::uint64_t roll = dice.next();
  const bool trial = chance(dice, 60);
  return {std::string("split") + (trial ? " a trial off" : ""), [=](Side& s) {
            Held* held = find(s, which);
            for (Held& other : s.held) {
              if (other.shard.state == ShardState::finished && other.shard.finish_reason == FinishReason::refused) held = &other;
            }
            ShardContents contents = s.wait(s.store_of(held->term).contents(held->shard.id));
            std::vector<std::int64_t> ids;
            for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
              const RequestId id = contents.members.at(rank);
              if (!contents.decided.test(rank) && lot(s, id, roll) % 2 == 0) ids.push_back(id.value);
            }
            if (ids.empty()) return std::string("nothing to split off");
            std::sort(ids.begin(), ids.end());
            std::vector<IdRange> part;
            for (const std::int64_t id : ids) {
              contents.decided.set(contents.members.rank(RequestId{id}).value());
              if (!part.empty() && part.back().last + 1 == id) {
                ++part.back().last;
              } else {
                part.push_back({id, id});
              }
            }
            const bool done = s.wait(s.store_of(held->term)
                                         .split(s.terms.at(held->term), held->shard.id, contents, part,
                                                trial && held->shard.finish_reason == FinishReason::refused));
            return tell(s, held->shard.id) + ": " + yes(done);
          }};
}

Step read_members(Plot& plot, const Side& side) {
  const std::size_t which = one_of(plot.dice, side.shards.ids().size());
  return {"read s" + std::to_string(which), [=](Side& s) {
            const ShardId id = s.shards.ids().at(which);
            const ShardContents contents = s.wait(s.store_of(0).contents(id));
            std::map<std::size_t, std::size_t> bodies;
            s.wait(s.store_of(0).read_bodies(id, contents, [&](RequestId request, std::string_view body) {
              bodies[s.requests.of(request)] = body.size();
              return true;
            }));
            std::string told = tell(s, contents) + ";";
            for (const auto& [request, size] : bodies) told += " " + std::to_string(size);
            // Only a refused shard is ever asked about.
            const auto refused = [id](const Held& h) {
              return h.shard.id == id && h.shard.finish_reason == FinishReason::refused;
            };
            if (std::none_of(s.held.begin(), s.held.end(), refused)) return told;
            return told + ";" + tell(s, s.wait(s.store_of(0).suspicion(id)));
          }};
}

}  // namespace

Step draw_shard(Plot& plot, const Side& side) {
  const auto roll = plot.dice.between(std::int64_t{0}, std::int64_t{9});
  if (side.held.empty() || roll < 2) return lease(plot, side);
  if (roll == 2 && !side.shards.ids().empty()) return lease_again(plot, side);
  return save(plot, side);
}

Step draw_members(Plot& plot, const Side& side) {
  if (side.held.empty()) return lease(plot, side);
  switch (plot.dice.between(std::int64_t{0}, std::int64_t{9})) {
    case 0:
      return settle_again();
    case 1:
    case 2:
      return split(plot);
    case 3:
      if (!side.shards.ids().empty()) return read_members(plot, side);
      [[fallthrough]];
    default:
      return settle(plot);
  }
}

}  // namespace batchd::conformance
