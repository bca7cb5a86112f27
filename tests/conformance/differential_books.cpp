// Random steps of those who look at providers' lists, tend what they find there, and pass on what people wish.
#include "conformance/differential.hpp"

#include <algorithm>

namespace batchd::conformance {
namespace {

/// A shard that is known, or one that nobody has heard of.
ShardId some_shard(const Side& s, std::size_t which) {
  return which % 8 == 7 || s.shards.ids().empty() ? ShardId{900'000 + static_cast<std::int64_t>(which % 5)}
                                                  : s.shards.ids()[which % s.shards.ids().size()];
}

/// The submissions of this side, to claim them rightly or wrongly.
std::vector<Claim> some_claims(Side& s, std::uint64_t roll) {
  std::vector<Claim> claims;
  for (const SubmissionRow& row : s.harness->picture().submissions) {
    const std::uint64_t lot = simulation::Dice(roll + claims.size()).next();
    Claim claim;
    claim.batch = BatchId{row.batch.empty() || lot % 5 == 0 ? "batch-x" + std::to_string(lot % 9) : row.batch};
    if (lot % 3 != 0) claim.shard = row.shard;
    claim.attempt = row.attempt + (lot % 7 == 0 ? 1 : 0);
    claim.input_file = FileId{row.input_file};
    claims.push_back(claim);
  }
  claims.push_back({BatchId{"batch-y"}, ShardId{900'001}, 1, FileId{"file-y"}});
  claims.push_back({BatchId{"batch-z"}, std::nullopt, 0, std::nullopt});
  return claims;
}

Stray some_stray(const Side& s, std::uint64_t roll, const std::string& name) {
  Batch batch;
  batch.id = BatchId{"stray-" + name};
  batch.status = roll % 2 == 0 ? BatchStatus::in_progress : BatchStatus::completed;
  if (roll % 3 == 0) batch.counts = RequestCounts{4, 3, 1};
  if (roll % 5 == 0) batch.created_at = 1'700'000'000;
  Stray stray = stray_of(batch, some_shard(s, static_cast<std::size_t>(roll / 8)), 1 + static_cast<int>(roll % 3));
  stray.over = roll % 7 == 0;
  return stray;
}

std::string record(Side& s, const std::string& provider, std::uint64_t roll, const std::string& name) {
  const Stray stray = some_stray(s, roll, name);
  const StrayKind kind = roll % 11 == 0 ? StrayKind::lost : roll % 4 == 0 ? StrayKind::harmless : StrayKind::duplicate;
  const bool made = s.wait(s.store_of(0).record_stray(provider, kind, stray));
  s.strays.push_back(stray);
  return tell(s, stray.shard) + " " + yes(made);
}

std::string tend(Side& s, const std::string& provider, std::uint64_t roll) {
  const auto open = s.wait(s.store_of(0).open_strays(provider));
  std::string told = tell_all(s, open);
  Stray stray;
  if (!open.empty() && roll % 4 != 0) {
    stray = open[roll / 4 % open.size()];
  } else if (!s.strays.empty()) {
    stray = s.strays[roll / 4 % s.strays.size()];
  } else {
    return told;
  }
  if (roll % 3 == 0) stray.over = true;
  if (roll % 5 == 0) stray.used = true;
  if (roll % 7 == 0) stray.output_file = FileId{"stray-out"};
  stray.status = roll % 2 == 0 ? BatchStatus::cancelled : BatchStatus::completed;
  s.wait(s.store_of(0).update_stray(provider, stray, roll % 6 == 0));
  return told + "; of " + tell(s, stray.shard) + " " + tell_all(s, s.wait(s.store_of(0).strays_of(stray.shard)));
}

std::string bind(Side& s, std::size_t term, const std::string& provider, std::uint64_t roll, int step) {
  FoundBatch found;
  found.provider = provider;
  found.batch = BatchId{"found-" + std::to_string(step)};
  // Above all that were given out, and with room for those that follow: sides may leave gaps.
  if (roll % 3 != 0) found.shard = ShardId{10'000 + 1000 * step};
  found.attempt = 1 + static_cast<int>(roll % 3);
  found.input_file = FileId{"found-file-" + std::to_string(step)};
  found.model = roll % 4 == 0 ? "" : roll % 4 == 1 ? "gone" : provider == "p" ? "d1" : "d2";
  found.tokens = static_cast<Tokens>(roll % 50);
  // A batch is of one lane.
  const Lane lane = s.requests.ids().empty() ? Lane{} : s.lanes.at(s.requests.ids()[roll % s.requests.ids().size()]);
  for (std::size_t i = 0; i < s.requests.ids().size(); ++i) {
    const RequestId id = s.requests.ids()[i];
    const std::uint64_t lot = simulation::Dice(roll + i).next();
    if (lot % 3 == 0 && s.lanes.at(id) == lane) found.lines.push_back({id, 1 + static_cast<int>(lot / 4 % 3)});
  }
  found.lines.push_back({RequestId{999'999'999}, 1});
  std::string told;
  for (int i = 0; i < 1 + static_cast<int>(roll % 2); ++i) {
    const auto bound = s.wait(s.store_of(term).bind_found(s.terms.at(term), found));
    told += !bound ? "nothing; " : (bound->id ? tell(s, *bound->id) : "none") + " " + std::to_string(bound->requests) + "; ";
    if (bound && bound->id) s.shards.of(*bound->id);
  }
  return told;
}

std::string act_upon_wishes(Side& s, std::uint64_t roll) {
  const auto wished = s.wait(s.store_of(0).wished_batches(1 + static_cast<int>(roll % 5)));
  std::string told = tell_all(s, wished);
  s.wished.insert(s.wished.end(), wished.begin(), wished.end());
  if (!s.wished.empty() && roll % 2 == 0) s.wait(s.store_of(0).forget_wished(s.wished[roll / 2 % s.wished.size()]));
  return told;
}

std::string note(Side& s, std::size_t term, const std::string& provider, std::uint64_t roll) {
  auto live = s.wait(s.store_of(term).live_batches(provider));
  std::string told = tell_all(s, live);
  for (std::size_t i = 0; i < live.size(); ++i) {
    const std::uint64_t lot = simulation::Dice(roll + i).next();
    live[i].status = lot % 3 == 0 ? BatchStatus::in_progress : lot % 3 == 1 ? BatchStatus::finalizing : BatchStatus::cancelling;
    if (lot % 6 == 0) live[i].batch = BatchId{"another"};
  }
  s.wait(s.store_of(term).note_status(s.terms.at(term), live));
  return told;
}

Step pause(simulation::Dice& dice, std::size_t term, std::uint64_t roll) {
  const std::string deployment = dice.pick(std::vector<std::string>{"d1", "d2"});
  const Milliseconds duration = roll % 8 == 0 ? Milliseconds{0} : minutes_and_a_half(static_cast<std::int64_t>(roll % 4));
  const std::string reason = roll % 2 == 0 ? "account" : "quota";
  return silent_step(
      "t" + std::to_string(term) + " pauses " + deployment + " for " + std::to_string(duration.count() / 1000) + "s, " + reason,
      [=](Side& s) {
        s.wait(s.store_of(term).pause_deployment(s.terms.at(term), deployment, reason, duration, minutes_and_a_half(9)));
      });
}

std::string retry_account(Side& s, const std::string& provider) {
  auto lifted = s.wait(s.store_of(0).retry_account(provider));
  std::sort(lifted.begin(), lifted.end());
  std::string told;
  for (const std::string& deployment : lifted) told += deployment + " ";
  return told;
}

std::string look(Side& s, const std::string& provider) {
  Store& store = s.store_of(0);
  std::string told = tell(s, s.wait(store.gauges()));
  std::vector<std::string> jobs;
  for (const JobProgress& job : s.wait(store.jobs(100))) jobs.push_back(tell(s, job));
  std::sort(jobs.begin(), jobs.end());
  for (const std::string& job : jobs) told += ";" + job;
  told += "; walks " + yes(s.wait(store.wants_walks(provider)));
  return told + "; files " + tell(s, s.wait(store.file_books(provider, s.shards.ids())));
}

}  // namespace

Step draw_books(Plot& plot, const Side& side) {
  auto& dice = plot.dice;
  const std::size_t term = draw_term(dice, side);
  const std::string who = "t" + std::to_string(term);
  const std::string provider = dice.pick(std::vector<std::string>{"p", "p", "q"});
  const std::uint64_t roll = dice.next();
  const int step = plot.steps;
  const std::string name = std::to_string(step);
  switch (dice.between(std::int64_t{0}, std::int64_t{13})) {
    case 0:
    case 1:
      return {"look up what is listed at " + provider,
              [=](Side& s) { return tell_all(s, s.wait(s.store_of(0).look_up(provider, some_claims(s, roll)))); }};
    case 2:
      return {"a stray at " + provider, [=](Side& s) { return record(s, provider, roll, roll % 6 == 0 ? "again" : name); }};
    case 3:
      return {"tend the strays at " + provider, [=](Side& s) { return tend(s, provider, roll); }};
    case 4:
    case 5:
      return {who + " binds what was found at " + provider, [=](Side& s) { return bind(s, term, provider, roll, step); }};
    case 6:
      return {"wishes are passed on",
              [=](Side& s) { return std::to_string(s.wait(s.store_of(0).place_wishes(1 + static_cast<int>(roll % 6)))); }};
    case 7:
      return {"wishes are acted upon", [=](Side& s) { return act_upon_wishes(s, roll); }};
    case 8:
    case 9:
      return {who + " notes what " + provider + " says", [=](Side& s) { return note(s, term, provider, roll); }};
    case 10:
      return pause(dice, term, roll);
    case 11:
      return {"another credential for " + provider, [=](Side& s) { return retry_account(s, provider); }};
    case 12:
      if (chance(dice, 20)) {
        const ShardId through{1000 + static_cast<std::int64_t>(roll % 5) * 1000};
        return silent_step("skip some numbers", [=](Side& s) { s.wait(s.store_of(0).skip_shards(through)); });
      }
      return silent_step(provider + " takes no more files",
                         [=](Side& s) { s.wait(s.store_of(0).file_ceiling_reached(provider)); });
    default:
      return {"look around", [=](Side& s) { return look(s, provider); }};
  }
}

}  // namespace batchd::conformance
