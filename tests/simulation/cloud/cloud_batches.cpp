// The cloud's calls about batches.
#include "simulation/cloud/cloud_calls.hpp"

#include <algorithm>
#include <charconv>

namespace batchd::simulation {
namespace {

ProviderError no_such_batch() {
  return {ErrorKind::not_found, 404, "not_found", "no such batch", {}};
}

template <class Number>
Number number_in(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto found = metadata.find(key);
  Number value = 0;
  if (found != metadata.end()) {
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  }
  return value;
}

}  // namespace

ProviderResult<CreatedBatch> FakeCloud::create_batch(const NewBatch& order) {
  const auto effect = [&] { return accept(order); };
  return call<CreatedBatch>(effect, true);
}

ProviderResult<Batch> FakeCloud::retrieve_batch(const BatchId& id) {
  const auto effect = [&]() -> ProviderResult<Batch> {
    const CloudBatch* batch = find(id);
    if (!batch || strikes(CloudFault::denied)) return no_such_batch();
    return seen(*batch);
  };
  return call<Batch>(effect);
}

ProviderResult<BatchPage> FakeCloud::list_batches(const std::optional<std::string>& after) {
  ++ledger_.batch_pages;
  const auto effect = [&]() -> ProviderResult<BatchPage> {
    const std::size_t first = position(after, batches_.size(), batch_prefix_);
    if (strikes(CloudFault::page_inserts)) add_foreign_batch({});
    const auto entry = [this](BatchPage& page, std::size_t index) -> const std::string* {
      const CloudBatch& batch = batches_[index];
      BatchEntry& known = ledger_.batches[index];
      if (now() < known.listed_from || now() >= batch.vanishes) return nullptr;
      if (now() < known.listed_surely && dice_.flip(0.5)) return nullptr;
      if (!known.first_listed) known.first_listed = now();
      page.batches.push_back(seen(batch));
      return &batch.shown.id.value;
    };
    return page<BatchPage>(after, batches_.size(), first, entry);
  };
  return call<BatchPage>(effect);
}

ProviderResult<Batch> FakeCloud::cancel_batch(const BatchId& id) {
  const auto effect = [&]() -> ProviderResult<Batch> {
    CloudBatch* batch = find(id);
    if (!batch || strikes(CloudFault::denied)) return no_such_batch();
    if (batch->foreign) note(Trespass::foreign_cancelled, id.value);
    auto cancelled = cancel(*batch, now());
    settle();
    return cancelled;
  };
  return call<Batch>(effect);
}

std::size_t FakeCloud::position(const std::optional<std::string>& after, std::size_t count, const std::string& prefix) const {
  if (!after) return 0;
  const std::size_t name = after->find_first_not_of('+');
  const auto number = name == std::string::npos ? std::nullopt : number_of(std::string_view(*after).substr(name), prefix);
  if (!number || *number >= count) return 0;
  return settings_.newest_first ? count - *number : *number + 1;
}

CloudBatch* FakeCloud::find(const BatchId& id) {
  const auto number = number_of(id.value, batch_prefix_);
  if (!number || *number >= batches_.size()) return nullptr;
  CloudBatch& batch = batches_[*number];
  return batch.shown.id == id && now() < batch.vanishes ? &batch : nullptr;
}

Batch FakeCloud::seen(const CloudBatch& batch) {
  Batch shown = batch.show(now(), strikes(CloudFault::older_state));
  if (strikes(CloudFault::unknown_state)) shown.status = BatchStatus::unknown;
  return shown;
}

ProviderResult<CreatedBatch> FakeCloud::accept(const NewBatch& order) {
  CloudFile* file = files_.find(order.input_file_id);
  if (auto refusal = refusal_of(order, file)) {
    ++ledger_.posts_refused;
    return *refusal;
  }
  const CloudBatch& batch = batches_[enter(order, *file)];
  CreatedBatch created;
  created.batch = batch.show(now(), false);
  if (settings_.limits.model_is_deployment && !settings_.deployments.empty()) {
    const Enqueued& enqueued = ledger_.deployments[batch.input->deployment];
    created.quota = {enqueued.now, enqueued.limit};
  }
  return created;
}

std::optional<ProviderError> FakeCloud::refusal_of(const NewBatch& order, const CloudFile* file) {
  if (!file || !file->visible(now())) {
    return ProviderError{ErrorKind::not_ready, 400, "invalid_request_error", "Cannot find file " + order.input_file_id.value, {}};
  }
  if (file->foreign) note(Trespass::foreign_used, file->shown.id.value);
  if (!file->input) return ProviderError{ErrorKind::permanent, 400, "invalid_request", "the file has another purpose", {}};
  const std::string_view status = file->status(now());
  if (settings_.limits.wait_for_processed && status != "processed") {
    const bool ends = now() >= file->processed_from;
    return ProviderError{ends ? ErrorKind::permanent : ErrorKind::not_ready,
                         400,
                         "unexpectedEntityState",
                         "the file is in state " + std::string(status),
                         {}};
  }
  const Input& input = *file->input;
  if (input.poisons_create) return ProviderError{ErrorKind::permanent, 400, "invalid_request", "a request is not valid", {}};
  const auto known = ledger_.deployments.find(input.deployment);
  const bool has_limit = settings_.deployments.contains(input.deployment);
  if (has_limit && known->second.now + input.tokens > known->second.limit) ++known->second.overruns;
  const bool full = !has_room(input.deployment, input.tokens) && !dice_.flip(settings_.late_quota);
  if (full || strikes(CloudFault::quota_refused)) {
    return ProviderError{ErrorKind::quota, 400, "token_limit_exceeded", "the enqueued token limit is reached", {}};
  }
  return std::nullopt;
}

std::size_t FakeCloud::enter(const NewBatch& order, const CloudFile& file) {
  const std::size_t index = batches_.size();
  CloudBatch& batch = batches_.emplace_back();
  batch.input = file.input;
  batch.accepted = now();
  batch.shown.id.value = batch_prefix_ + std::to_string(index);
  batch.shown.input_file_id = order.input_file_id;
  batch.shown.created_at = (now() + settings_.clock_skew).count() / 1000;
  batch.shown.metadata = order.metadata;
  batch.counts.total = static_cast<std::int64_t>(file.input->lines.size());
  draw_life(batch, order);
  live_.push_back(index);

  BatchEntry& entry = ledger_.batches.emplace_back();
  entry.id = batch.shown.id;
  entry.input = order.input_file_id;
  const auto instance = order.metadata.find("batchd_instance");
  if (instance != order.metadata.end()) entry.instance = instance->second;
  entry.shard.value = number_in<std::int64_t>(order.metadata, "batchd_shard");
  entry.attempt = number_in<int>(order.metadata, "batchd_attempt");
  entry.deployment = file.input->deployment;
  entry.tokens = file.input->tokens;
  entry.lines = batch.counts.total;
  entry.accepted = now();
  entry.lost_from = batch.vanishes;
  entry.listed_from = now() + within(settings_.list_lag);
  if (strikes(CloudFault::listed_late)) entry.listed_from = now() + within(settings_.late_listing);
  entry.listed_surely = entry.listed_from + within(settings_.list_flicker);
  if (!entry.instance.empty()) ++ledger_.posts[{entry.instance, entry.shard, entry.attempt}];
  Enqueued& enqueued = ledger_.deployments[entry.deployment];
  enqueued.now += entry.tokens;
  enqueued.highest = std::max(enqueued.highest, enqueued.now);
  return index;
}

}  // namespace batchd::simulation
