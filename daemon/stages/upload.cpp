#include "stages/upload.hpp"

#include "core/output_line.hpp"
#include "core/remote_names.hpp"
#include "core/tokens.hpp"
#include "tokens/counter.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>

namespace batchd {
namespace {

/// A shard that found no place for its files looks again so soon; the provider's list is looked through for others' at most so
/// often.
constexpr Milliseconds look_for_place{2000};
constexpr Milliseconds count_again{60'000};

int attempts_before(const ShardContents& contents, RequestId request) {
  const auto found = contents.attempts.find(request);
  return found == contents.attempts.end() ? 0 : found->second;
}

}  // namespace

Task<int> UploadStage::run_once() {
  return lease_and_step(ShardState::planned);
}

Task<void> UploadStage::step(Shard shard) {
  const auto route = context_.routes.find(shard.deployment);
  const bool taken =
      route != context_.routes.end() && has_endpoint(route->second.provider->limits().endpoints, shard.lane.endpoint);
  if (!taken || shard.unwanted) {
    co_await advance(shard, GivenUp{});
    context_.bells.merge.notify();
    co_return;
  }
  if (!co_await finds_place(shard, *route->second.provider)) co_return;
  std::int64_t& sending = sending_[shard.provider];
  const auto sent = [](std::int64_t* count) { --*count; };
  const std::unique_ptr<std::int64_t, decltype(sent)> place(&++sending, sent);
  std::optional<ScratchFile> file = spool_.open(shard.bytes);
  if (!file) {
    co_await postpone(shard, Milliseconds{1000});  // the scratch disk is full of files under way
    co_return;
  }
  Draft draft{std::move(*file), 0, 0, {}, {}, {}, {}, {}, {}};
  ShardContents contents = co_await context_.store.contents(shard.id);
  if (contents.tariff) draft.purse.emplace(*contents.tariff);
  const std::string url = route->second.provider->line_url(shard.lane.endpoint);
  co_await write(shard, contents, route->second, url, draft);
  if (!co_await settle_rejected(shard, contents, draft)) co_return;
  if (draft.lines == 0) {
    co_await advance(shard, GivenUp{});
    context_.bells.merge.notify();
    co_return;
  }
  co_await send(shard, route->second, draft);
}

Task<bool> UploadStage::finds_place(Shard& shard, const Provider& provider) {
  const std::int64_t ceiling = provider.limits().max_files;
  if (ceiling == 0) co_return true;
  const FileSlots slots = co_await context_.store.file_slots(shard.provider);
  if (may_upload(slots, sending_[shard.provider], ceiling)) co_return true;
  context_.log.warn("upload.no_file_slot", {{"shard", shard.id.value},
                                            {"provider", shard.provider},
                                            {"ours", slots.inputs + slots.results},
                                            {"coming", slots.coming},
                                            {"others", slots.others},
                                            {"ceiling", ceiling}});
  co_await make_room(shard.provider);
  if (Clock::TimePoint& asked = count_asked_[shard.provider];
      slots.counted > count_again && context_.clock.now() - asked > count_again) {
    asked = context_.clock.now();
    context_.suspect_orphans(shard.provider);
  }
  co_await postpone(shard, look_for_place);
  co_return false;
}

Task<void> UploadStage::make_room(const std::string& provider) {
  co_await context_.store.file_ceiling_reached(provider);
  context_.bells.close.notify();
}

/// Whether the caps have room for one more request; where they have not, it is left out.
bool UploadStage::affords(Draft& draft, const ShardContents& contents, RequestId request, std::string_view body, bool embeds,
                          Tokens tokens) {
  const FlowId flow = contents.members.flow_at(contents.members.rank(request).value());
  const NanoDollars bound = bound_of(tokens, body, embeds, *contents.tariff);
  const Purse::Fit fit = draft.purse->take(flow, bound);
  if (fit == Purse::Fit::later) draft.left_out.push_back(request);
  if (fit == Purse::Fit::never) draft.above_cap.push_back(request);
  return fit == Purse::Fit::fits;
}

Task<void> UploadStage::write(const Shard& shard, const ShardContents& contents, const Route& route, const std::string& url,
                              Draft& draft) {
  const LineTarget target{url, route.provider->limits().model_is_deployment ? shard.deployment : shard.lane.model,
                          route.max_bytes};
  const bool embeds = bare_endpoint(shard.lane.endpoint) == "/embeddings";
  const std::int64_t most_inputs = embeds ? route.provider->limits().max_embedding_inputs : 0;
  const BodyKind kind{shard.lane.model, shard.lane.endpoint};
  std::optional<TokenCounter> counter;  // made there too: the first one reads a vocabulary
  // Runs on a pool thread while this coroutine waits, so that it may use what lives here.
  const auto sink = [this, &shard, &contents, &target, &draft, &kind, &counter, embeds, most_inputs, line = std::string()](
                        RequestId request, std::string_view body) mutable {
    line.clear();
    const CustomId id{request, attempts_before(contents, request) + 1};
    if (auto rejection = append_request_line(line, id, target, body)) {
      draft.rejected.emplace_back(request, std::move(*rejection));
      return true;
    }
    const std::int64_t inputs = most_inputs > 0 ? embedding_inputs(body) : 0;
    const bool too_many = draft.lines > 0 && draft.inputs + inputs > most_inputs;
    if (too_many || draft.file.size() + static_cast<Bytes>(line.size()) > target.max_bytes) {
      draft.left_out.push_back(request);
      return true;
    }
    if (draft.purse && !affords(draft, contents, request, body, embeds, estimate_tokens(body))) return true;
    try {
      draft.file.append(line);
    } catch (const SpoolError& error) {
      draft.failure = error.what();
      return false;
    }
    if (!counter) counter.emplace(vocabulary_for(context_.vocabularies, kind.model), kind, shard.bytes);
    counter->add(body);
    ++draft.lines;
    draft.inputs += inputs;
    return true;
  };
  BodySink body_sink = sink;
  co_await context_.store.read_bodies(shard.id, contents, std::move(body_sink));
  if (!draft.failure.empty()) throw SpoolError(draft.failure);
  if (counter) draft.tokens = counter->total().reserved();
  draft.file.flush();
}

Task<bool> UploadStage::settle_rejected(const Shard& shard, ShardContents& contents, const Draft& draft) {
  if (draft.rejected.empty() && draft.left_out.empty() && draft.above_cap.empty()) co_return true;
  SettleChunk chunk;
  for (const auto& [request, rejection] : draft.rejected) {
    contents.decided.set(contents.members.rank(request).value());
    Settlement settled;
    settled.request = request;
    settled.outcome = Outcome::failed;
    settled.error = make_error(rejection.code, rejection.message);
    chunk.settled.push_back(std::move(settled));
  }
  for (const RequestId request : draft.left_out) {
    contents.decided.set(contents.members.rank(request).value());
    chunk.returned.push_back({request, attempts_before(contents, request), Milliseconds{0}, ""});
  }
  const std::string above = make_error(above_cap_code, "it may cost more than [budget] allows at all");
  for (const RequestId request : draft.above_cap) {
    contents.decided.set(contents.members.rank(request).value());
    chunk.returned.push_back({request, attempts_before(contents, request), above_cap_delay, above});
  }
  if (draft.purse) chunk.shortages = draft.purse->shortages();
  const auto rejected = static_cast<std::int64_t>(chunk.settled.size());
  const auto returned = static_cast<std::int64_t>(chunk.returned.size());
  const bool held = co_await context_.store.settle(shard.lease, shard.id, contents, std::move(chunk));
  if (!held) {
    context_.metrics.lease_lost();
    co_return false;
  }
  context_.metrics.requests_settled(Outcome::failed, rejected);
  context_.metrics.requests_returned(returned);
  context_.log.warn("requests.rejected", {{"shard", shard.id.value}, {"rejected", rejected}, {"left_out", returned}});
  co_return true;
}

Task<void> UploadStage::send(Shard& shard, const Route& route, Draft& draft) {
  if (!context_.session.trusted(shard.lease)) co_return;
  const std::string name = input_file_name(context_.instance, shard.id, shard.attempt);
  const auto uploaded = co_await route.provider->upload(draft.file.path(), name);
  if (uploaded.has_value()) {
    co_await record(shard, route, draft, *uploaded);
    co_return;
  }
  const ProviderError& error = uploaded.error();
  if (error.kind == ErrorKind::unknown) context_.suspect_orphans(shard.provider);
  if (error.kind == ErrorKind::permanent) {
    const ShardEvent event = Refused{error};
    co_await advance(shard, event);
    context_.bells.merge.notify();
    co_return;
  }
  if (error.kind == ErrorKind::file_slots) {
    co_await make_room(shard.provider);
    context_.suspect_orphans(shard.provider);
  }
  co_await delay(shard, "upload", error);
}

Task<void> UploadStage::record(Shard& shard, const Route& route, const Draft& draft, const RemoteFile& file) {
  // A single request may be estimated above the whole limit; it must still be let try when nothing else is enqueued.
  std::vector<JobBound> bounds;
  if (draft.purse) bounds = draft.purse->bounds();
  const ShardEvent event = Uploaded{file.id, draft.file.size(), std::min(draft.tokens, route.limit), std::move(bounds)};
  // Until it is recorded, nobody knows of the file: neither when the lease turns out to be lost, nor when the database does.
  SaveResult recorded = SaveResult::lost;
  std::exception_ptr failed;
  try {
    recorded = co_await advance(shard, event);
  } catch (const StoreError&) {
    failed = std::current_exception();
  }
  if (recorded == SaveResult::lost) context_.suspect_orphans(shard.provider);
  if (failed) std::rethrow_exception(failed);
  context_.bells.submit.notify();
}

}  // namespace batchd
