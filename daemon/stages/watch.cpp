#include "stages/watch.hpp"

#include "stages/list_walk.hpp"

#include <algorithm>

namespace batchd {

namespace {

constexpr Milliseconds longest_pause{5'000};

}  // namespace

Milliseconds WatchStage::pause() const {
  return std::min(settings_.interval, longest_pause);
}

bool WatchStage::due(const std::optional<Clock::TimePoint>& last, Milliseconds every) const {
  return !last || context_.clock.now() - *last >= every;
}

Task<std::optional<Unmatched>> WatchStage::unmatched() {
  std::vector<Unmatched> all = co_await context_.store.unmatched();
  for (Unmatched& one : all) {
    if (one.provider == provider_name_) co_return std::move(one);
  }
  co_return std::nullopt;
}

Task<int> WatchStage::run_once() {
  if (!co_await context_.store.hold_role(context_.session.term(), name())) co_return 0;
  if (due(tended_, settings_.interval)) {
    co_await tend_strays();
    tended_ = context_.clock.now();
  }
  const std::optional<Unmatched> doubt = co_await unmatched();
  if (doubt) {
    if (doubt->mark == walked_for_ && !due(walked_, settings_.interval)) co_return 0;
    // The account is probed when its pause is over, or lifted by a person or by another key.
    if (refusals_ > 0) {
      const bool paused = co_await lanes_paused();
      if (paused) co_return 0;
    }
  } else {
    if (!due(walked_, settings_.walk_interval)) co_return 0;
    const bool wanted = co_await context_.store.wants_walks(provider_name_);
    if (!wanted && !look_again_) co_return 0;
  }
  Survey survey;
  survey.rewound = doubt && doubt->rewound;
  walked_ = context_.clock.now();
  walked_for_ = doubt ? doubt->mark : "";
  if (!co_await walk(survey)) co_return 0;
  refusals_ = 0;
  look_again_ = survey.open > 0;
  if (co_await settle(survey) > 0) walked_.reset();
  if (survey.duplicates > 0) tended_.reset();
  if (!walked_ || !tended_) co_return 1;
  if (doubt && survey.unsettled == 0) {
    if (survey.highest.value > 0) co_await context_.store.skip_shards(survey.highest);
    co_await context_.store.matched(context_.session.term(), *doubt);
    context_.log.info("provider.matched", {{"provider", provider_name_}});
    context_.bells.plan.notify();
    context_.bells.submit.notify();
  }
  co_return 0;
}

Task<bool> WatchStage::walk(Survey& survey) {
  const auto look = [this, &survey](std::vector<Batch> page) { return judge(std::move(page), survey); };
  std::function<Task<bool>(std::vector<Batch>)> visit = look;
  const auto walked = co_await walk_batch_pages(provider_, std::move(visit));
  if (!walked.has_error() && *walked == WalkEnd::complete) co_return true;
  const ProviderError stuck{ErrorKind::unknown, 200, "list_incomplete", "the list of batches was not seen whole", std::nullopt};
  const ProviderError& error = walked.has_error() ? walked.error() : stuck;
  context_.log.warn(
      "watch.incomplete",
      {{"provider", provider_name_}, {"kind", to_string(error.kind)}, {"status", error.status}, {"message", error.message}});
  if (error.kind == ErrorKind::account) co_await pause_lanes(error);
  co_return false;
}

Task<void> WatchStage::pause_lanes(const ProviderError& error) {
  const auto seed = static_cast<std::uint64_t>(context_.session.term().value);
  const Milliseconds probe_in = backoff(context_.backoff, ++refusals_, seed, error.retry_after);
  for (const auto& [deployment, route] : context_.routes) {
    if (route.provider_name != provider_name_) continue;
    co_await context_.store.pause_deployment(context_.session.term(), deployment, "account", probe_in, context_.backoff.max);
    context_.log.error("lane.paused", {{"deployment", deployment},
                                       {"reason", "account"},
                                       {"status", error.status},
                                       {"code", error.code},
                                       {"message", error.message},
                                       {"probe_in_ms", probe_in.count()}});
  }
}

Task<bool> WatchStage::lanes_paused() {
  const std::vector<DeploymentLoad> loads = co_await context_.store.deployments();
  co_return std::any_of(loads.begin(), loads.end(), [this](const DeploymentLoad& load) {
    return load.provider == provider_name_ && load.paused && load.pause_reason == "account";
  });
}

Task<bool> WatchStage::judge(std::vector<Batch> page, Survey& survey) {
  std::vector<Claim> claims;
  std::vector<Batch*> claimed;
  for (Batch& batch : page) {
    auto claim = claim_of(batch, context_.instance);
    if (!claim) continue;
    if (claim->shard) survey.highest = std::max(survey.highest, *claim->shard);
    claims.push_back(std::move(*claim));
    claimed.push_back(&batch);
  }
  if (claims.empty()) co_return true;
  std::vector<BookEntry> books = co_await context_.store.look_up(provider_name_, claims);
  for (std::size_t i = 0; i < claimed.size(); ++i) {
    if (!context_.session.trusted()) co_return false;
    if (survey.rewound && !books[i].shard) {
      co_await learn_origin(*claimed[i], survey);
      if (const auto claim = claim_of(*claimed[i], context_.instance); claim && claim->shard) {
        survey.highest = std::max(survey.highest, *claim->shard);
        const std::vector<Claim> one{*claim};
        const std::vector<BookEntry> known = co_await context_.store.look_up(provider_name_, one);
        books[i] = known.front();
      }
    }
    co_await judge_one(*claimed[i], books[i], survey);
  }
  co_return true;
}

Task<void> WatchStage::judge_one(Batch& batch, const BookEntry& books, Survey& survey) {
  const Recognition recognition = recognise(batch, books);
  switch (recognition) {
    case Recognition::foreign:
      break;
    case Recognition::known:
      if (survey.rewound) co_await look_for_answers(batch, books, survey);
      break;
    case Recognition::open:
      ++survey.open;
      break;
    case Recognition::wait:
      ++survey.unsettled;
      break;
    case Recognition::harmless: {
      const Stray stray = stray_of(batch, *books.shard, books.attempt);
      co_await context_.store.record_stray(provider_name_, StrayKind::harmless, stray);
      break;
    }
    case Recognition::duplicate:
      ++survey.duplicates;
      co_await record_duplicate(batch, books);
      break;
    case Recognition::take_over:
    case Recognition::lost: {
      ++survey.unsettled;
      const auto known = survey.candidates.find(*books.shard);
      if (known == survey.candidates.end() || better(batch, books.attempt, known->second.batch, known->second.books.attempt))
        survey.candidates[*books.shard] = Candidate{std::move(batch), books, recognition};
      break;
    }
  }
}

Task<void> WatchStage::note_loss(Survey& survey) {
  const auto unannounced = [](const auto& found) {
    const Candidate& candidate = found.second;
    return !candidate.books.announced || is_of_another_past(candidate.batch.input_file_id, candidate.books);
  };
  const auto proof = std::find_if(survey.candidates.begin(), survey.candidates.end(), unannounced);
  if (survey.rewound || proof == survey.candidates.end()) co_return;
  context_.log.error("database.rewound",
                     {{"provider", provider_name_},
                      {"batch", proof->second.batch.id.value},
                      {"meaning", "it was submitted, and the database does not know of that: commits are lost"}});
  co_await context_.store.distrust();
  survey.rewound = true;
}

Task<int> WatchStage::settle(Survey& survey) {
  co_await note_loss(survey);
  int settled = 0;
  for (auto& [shard, found] : survey.candidates) {
    if (!context_.session.trusted()) break;
    bool done = false;
    if (found.recognition == Recognition::lost) {
      done = co_await recover(found);
    } else {
      done = co_await take_over(found);
    }
    if (done) ++settled;
  }
  co_return settled;
}

Task<bool> WatchStage::take_over(Candidate& found) {
  const ShardId id = *found.books.shard;
  const auto& busy = context_.busy.all();
  if (std::find(busy.begin(), busy.end(), id) != busy.end()) co_return false;
  auto leased = co_await context_.store.lease_one(context_.session.term(), id, found.books.held->state);
  if (!leased || leased->intent) co_return false;
  const BusyShards::Mark mark(context_.busy, id);
  Shard shard = std::move(*leased);
  const std::optional<FileId> own = shard.input_file;
  if (!found.books.announced) {
    // Nothing but a number says that it is this shard's, and numbers are given out again after a loss.
    if (!co_await learn_input(found.batch, found.books)) co_return false;
    const Origin origin = co_await compare(found, shard);
    if (origin == Origin::later) co_return false;
    if (origin == Origin::untold) {
      const bool given_up = co_await give_up(found.batch, found.books);
      co_return given_up;
    }
    if (origin == Origin::other) {
      const bool recovered = co_await recover(found);
      co_return recovered;
    }
  }
  const auto input = found.batch.input_file_id ? found.batch.input_file_id
                     : found.books.input_file  ? found.books.input_file
                                               : own;
  if (!input) {
    co_await record_duplicate(found.batch, found.books);  // a shard at a provider has a file there
    co_return true;
  }
  const ShardEvent event = Found{found.batch, found.books.attempt, *input};
  if (co_await advance(shard, event) != SaveResult::saved) co_return false;
  context_.log.info("batch.taken_over", {{"shard", id.value}, {"attempt", found.books.attempt}, {"batch", found.batch.id.value}});
  if (own && own != input && context_.session.trusted()) {
    // What was uploaded for the next attempt; should this fail, it is an orphan.
    const auto deleted = co_await provider_.delete_file(*own);
    if (deleted.has_error()) warn("delete_file.failed", found.batch.id, deleted.error());
  }
  co_return true;
}

void WatchStage::warn(std::string_view event, const BatchId& batch, const ProviderError& error) {
  context_.log.warn(std::string(event), {{"provider", provider_name_},
                                         {"batch", batch.value},
                                         {"kind", to_string(error.kind)},
                                         {"status", error.status},
                                         {"message", error.message}});
}

}  // namespace batchd
