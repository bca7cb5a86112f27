#include "stages/submit.hpp"

#include "core/output_line.hpp"
#include "core/recognition.hpp"
#include "core/remote_names.hpp"
#include "stages/list_walk.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// An input file that stays unknown to the provider this many times is sent again; at first it is only not visible yet.
constexpr int most_invisible = 8;
constexpr int soon_visible = 3;
constexpr int looks_before_fence = 2;
/// What headers say of other users is written down at most so often for each deployment.
constexpr Milliseconds heed_again{30'000};

enum class Match {
  none,
  unnamed,  ///< it has the shard's file, and does not say which attempt it was made for
  exact,
};

Match match(const Batch& batch, const Shard& shard, const std::map<std::string, std::string>& metadata) {
  if (shard.input_file && batch.input_file_id) {
    // Another file under our numbers: they were given out before, by a database that has lost its commits since.
    if (batch.input_file_id != shard.input_file) return Match::none;
    const auto attempt = batch.metadata.find("batchd_attempt");
    if (attempt == batch.metadata.end()) return Match::unnamed;
    return attempt->second == metadata.at("batchd_attempt") ? Match::exact : Match::none;
  }
  const bool named = !batch.metadata.empty() && std::all_of(metadata.begin(), metadata.end(), [&](const auto& pair) {
    const auto found = batch.metadata.find(pair.first);
    return found != batch.metadata.end() && found->second == pair.second;
  });
  return named ? Match::exact : Match::none;
}

}  // namespace

Milliseconds SubmitStage::pause() const {
  return context_.room_comes_late ? settings_.room_interval : Stage::pause();
}

Task<int> SubmitStage::run_once() {
  return lease_and_step(ShardState::uploaded);
}

Task<void> SubmitStage::step(Shard shard) {
  Provider* const provider = context_.provider_of(shard);
  if (shard.intent) {
    if (provider) {
      co_await resolve_unknown(shard, *provider);
    } else {
      co_await postpone(shard, settings_.settle_window);  // nobody here can look; the shard stays as it is
    }
    co_return;
  }
  if (!provider || !context_.routes.contains(shard.deployment) || shard.unwanted) {
    co_await advance(shard, GivenUp{});
    context_.bells.merge.notify();
    co_return;
  }
  if (!co_await file_is_ready(shard, *provider)) co_return;
  switch (co_await advance(shard, Intended{}, true)) {
    case SaveResult::saved:
      co_await post(shard, *provider);
      break;
    case SaveResult::no_room:
      co_await postpone(shard, settings_.room_interval);
      break;
    case SaveResult::no_money:
      co_await give_up_for_money(shard);
      break;
    case SaveResult::lost:
      break;
  }
}

/// It is planned anew, as large as the caps have room for; what waits for them is noted.
Task<void> SubmitStage::give_up_for_money(Shard& shard) {
  context_.log.info("shard.unaffordable",
                    {{"shard", shard.id.value}, {"deployment", shard.deployment}, {"requests", shard.requests}});
  co_await advance(shard, GivenUp{});
  context_.bells.merge.notify();
}

Task<bool> SubmitStage::file_is_ready(Shard& shard, Provider& provider) {
  if (!provider.limits().wait_for_processed) co_return true;
  const auto file = co_await provider.retrieve_file(*shard.input_file);
  if (file.has_error()) {
    bool lost = file.error().kind == ErrorKind::not_found && shard.failures >= most_invisible;
    // In a database that has lost commits the shard may have gone further, and its file was deleted after that.
    if (lost) lost = co_await is_matched(shard.provider);
    if (lost) {
      co_await file_lost(shard);
    } else {
      co_await delay(shard, "retrieve_file", file.error());
    }
    co_return false;
  }
  if (file->status == "error" || file->status == "deleted" || file->status == "deleting") {
    const ShardEvent event = FileLost{retry_delay(shard, ProviderError{}),
                                      make_error("file_" + file->status, "the provider could not process the uploaded file")};
    context_.log.warn("file.unusable", {{"shard", shard.id.value}, {"file", shard.input_file->value}, {"status", file->status}});
    co_await advance(shard, event);
    co_return false;
  }
  if (file->status == "pending" || file->status == "running") {
    co_await postpone(shard, settings_.file_interval);
    co_return false;
  }
  co_return true;
}

Task<bool> SubmitStage::is_matched(const std::string& provider) {
  const std::vector<Unmatched> doubts = co_await context_.store.unmatched();
  co_return std::none_of(doubts.begin(), doubts.end(), [&](const Unmatched& doubt) { return doubt.provider == provider; });
}

/// It is made and sent anew.
Task<void> SubmitStage::file_lost(Shard& shard) {
  const ShardEvent event =
      FileLost{Milliseconds{0}, make_error("file_not_found", "the uploaded file cannot be found at the provider")};
  co_await advance(shard, event);
  context_.bells.upload.notify();
}

Task<void> SubmitStage::post(Shard& shard, Provider& provider) {
  if (!context_.session.trusted(shard.lease)) {
    // The announcement took so long that others may have judged us dead. Nothing was sent; say so if we still may.
    const ShardEvent event = NotCreated{
        ProviderError{ErrorKind::not_sent, 0, "lease_expired", "not sent: the lease had run out", {}}, Milliseconds{0}};
    co_await advance(shard, event);
    co_return;
  }
  NewBatch order;
  order.input_file_id = *shard.input_file;
  order.endpoint = shard.lane.endpoint;
  order.metadata = batch_metadata(context_.instance, shard.id, shard.attempt);
  const auto created = co_await provider.create_batch(order);
  if (created.has_value()) {
    const ShardEvent event = Created{created->batch};
    if (co_await advance(shard, event) == SaveResult::saved) co_await heed(shard, created->quota);
  } else {
    co_await refused(shard, created.error());
  }
}

Task<void> SubmitStage::heed(const Shard& shard, const QuotaHint& hint) {
  if (!hint.maximum && !hint.enqueued) co_return;
  const auto now = context_.clock.now();
  const auto known = heeded_.find(shard.deployment);
  if (known != heeded_.end() && known->second.maximum == hint.maximum && now - known->second.at < heed_again) co_return;
  heeded_[shard.deployment] = {hint.maximum, now};
  const RoomLesson lesson = RoomTold{hint.enqueued, hint.maximum};
  co_await learn(shard.lease, shard.deployment, lesson);
}

Task<void> SubmitStage::refused(Shard& shard, const ProviderError& error) {
  switch (error.kind) {
    case ErrorKind::unknown: {
      context_.log.warn(
          "submission.unknown",
          {{"shard", shard.id.value}, {"attempt", shard.attempt}, {"status", error.status}, {"message", error.message}});
      co_await postpone(shard, std::min(settings_.settle_window / 4, Milliseconds{5000}));
      break;
    }
    case ErrorKind::permanent:
    case ErrorKind::conflict: {
      const ShardEvent event = Refused{error};
      co_await advance(shard, event);
      context_.bells.merge.notify();
      break;
    }
    default: {
      if (error.kind == ErrorKind::account) co_await pause_lane(shard, error, "account");
      const bool soon = error.kind == ErrorKind::not_ready && shard.failures < soon_visible;
      const bool lost = error.kind == ErrorKind::not_ready && shard.failures >= most_invisible;
      const Milliseconds later = soon ? settings_.file_interval : retry_delay(shard, error);
      context_.log.warn("submission.refused", {{"shard", shard.id.value},
                                               {"attempt", shard.attempt},
                                               {"kind", to_string(error.kind)},
                                               {"status", error.status},
                                               {"code", error.code},
                                               {"message", error.message},
                                               {"retry_in_ms", later.count()}});
      if (error.kind == ErrorKind::quota) co_await learn_from_refusal(shard, error.message);
      const ShardEvent event = NotCreated{error, later};
      const SaveResult recorded = co_await advance(shard, event, lost);
      if (lost && recorded == SaveResult::saved) co_await file_lost(shard);
    }
  }
}

Task<void> SubmitStage::resolve_unknown(Shard& shard, Provider& provider) {
  const auto found = co_await find_in_list(shard, provider);
  if (found.has_error()) {
    co_await delay(shard, "look", found.error());
  } else if (found->has_value()) {
    context_.log.info("submission.found", {{"shard", shard.id.value}, {"attempt", shard.attempt}, {"batch", (*found)->id.value}});
    const ShardEvent event = Created{**found};
    co_await advance(shard, event);
  } else {
    co_await not_found(shard, provider);
  }
}

Task<void> SubmitStage::not_found(Shard& shard, Provider& provider) {
  const bool long_enough = shard.looks + 1 >= looks_before_fence && shard.intent_age >= settings_.settle_window;
  if (!long_enough || settings_.hold_unknown) {
    const Milliseconds again = std::max(settings_.settle_window / 3, Milliseconds{200});
    if (long_enough)
      context_.log.warn("submission.held", {{"shard", shard.id.value}, {"attempt", shard.attempt}, {"looks", shard.looks}});
    const ShardEvent event = NotFoundInList{again};
    co_await advance(shard, event);
    co_return;
  }
  co_await fence(shard, provider);
}

Task<void> SubmitStage::fence(Shard& shard, Provider& provider) {
  if (!context_.session.trusted(shard.lease)) co_return;
  const auto deleted = co_await provider.delete_file(*shard.input_file);
  if (deleted.has_error()) {
    co_await delay(shard, "fence", deleted.error());
    co_return;
  }
  context_.log.warn("submission.fenced", {{"shard", shard.id.value}, {"attempt", shard.attempt}, {"looks", shard.looks + 1}});
  context_.suspect_orphans(shard.provider);
  co_await advance(shard, Fenced{});
  context_.bells.upload.notify();
}

Task<ProviderResult<std::optional<Batch>>> SubmitStage::find_in_list(const Shard& shard, Provider& provider) {
  const auto metadata = batch_metadata(context_.instance, shard.id, shard.attempt);
  std::optional<Batch> found;
  std::vector<Batch> unnamed;
  const auto take = [&](Batch& batch) {
    const Match how = match(batch, shard, metadata);
    if (how == Match::exact) found = std::move(batch);
    if (how == Match::unnamed) unnamed.push_back(std::move(batch));
    return !found;
  };
  std::function<bool(Batch&)> visit = take;
  const auto walked = co_await walk_batches(provider, std::move(visit));
  if (walked.has_error()) co_return walked.error();
  if (!found) found = co_await not_taken(shard, unnamed);
  if (!found && *walked == WalkEnd::incomplete) {
    co_return ProviderError{ErrorKind::unknown, 200, "list_incomplete", "the list of batches does not advance", std::nullopt};
  }
  co_return found;
}

Task<std::optional<Batch>> SubmitStage::not_taken(const Shard& shard, const std::vector<Batch>& batches) {
  if (batches.empty()) co_return std::nullopt;
  std::vector<Claim> claims;
  for (const Batch& batch : batches) claims.push_back({batch.id, std::nullopt, 0, batch.input_file_id});
  const std::vector<BookEntry> books = co_await context_.store.look_up(shard.provider, claims);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const bool taken = books[i].recorded || books[i].batch == batches[i].id;
    if (!taken) co_return batches[i];
  }
  co_return std::nullopt;
}

}  // namespace batchd
