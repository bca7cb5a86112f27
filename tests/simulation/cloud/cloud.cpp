#include "simulation/cloud/cloud.hpp"

#include <algorithm>
#include <utility>

namespace batchd::simulation {

FakeCloud::FakeCloud(std::function<Milliseconds()> now, Dice dice, CloudSettings settings)
    : now_(std::move(now)), dice_(dice), settings_(std::move(settings)) {
  std::string letters;
  for (int i = 0; i < 3; ++i) letters += static_cast<char>('a' + dice_.between(0, 25));
  batch_prefix_ = "batch_" + letters;
  files_ = Files("file-" + letters);
  for (const auto& [name, limit] : settings_.deployments) ledger_.deployments[name].limit = limit;
  // Named as much like ours as possible: an instance that begins like ours, the same shards, our word in other places.
  for (int i = 0; i < settings_.foreign_batches; ++i) {
    const std::string shard = std::to_string(i / 3 + 1);
    if (i % 3 == 0) {
      add_foreign_batch(batch_metadata(settings_.instance + "2", ShardId{i / 3 + 1}, 1),
                        input_file_name(settings_.instance + "2", ShardId{i / 3 + 1}, 1));
    } else if (i % 3 == 1) {
      add_foreign_batch({{"batchd_shard", shard}, {"batchd_attempt", "1"}}, "batchd-" + settings_.instance + ".jsonl");
    } else {
      add_foreign_batch({});
    }
  }
  for (int i = 0; i < settings_.foreign_files; ++i) {
    const std::string ours = input_file_name(settings_.instance, ShardId{i + 1}, 1);
    add_foreign_file(i % 2 == 0 ? "copy-of-" + ours : ours + ".jsonl");
  }
}

bool FakeCloud::strikes(CloudFault fault) {
  const auto index = static_cast<std::size_t>(fault);
  const double chance = settings_.faults[fault];
  const bool chosen = std::exchange(due_[index], false) || (chance > 0 && dice_.flip(chance));
  if (chosen) ++struck_[index];
  return chosen;
}

void FakeCloud::note(Trespass what, const std::string& object) {
  ledger_.violations.push_back({now(), what, object});
}

std::optional<ProviderError> FakeCloud::at_the_door(bool is_create) {
  ++ledger_.calls;
  settle();
  const bool begins = now() >= outage_.until && strikes(CloudFault::account_outage);
  if (begins) {
    static const std::array<Outage, 4> kinds{{{{}, 401, "unauthorized", false},
                                              {{}, 403, "forbidden", false},
                                              {{}, 404, "DeploymentNotFound", true},
                                              {{}, 429, "insufficient_quota", true}}};
    outage_ = kinds[static_cast<std::size_t>(dice_.between(0, is_create ? 3 : 1))];
    outage_.until = now() + within(settings_.outage);
  }
  if (begins || (now() < outage_.until && (is_create || !outage_.on_create_only))) {
    return ProviderError{ErrorKind::account, outage_.status, outage_.code, "the account cannot be used", {}};
  }
  if (strikes(CloudFault::throttled)) {
    ProviderError error{ErrorKind::throttled, 429, "rate_limit_exceeded", "too many calls", {}};
    if (dice_.flip(settings_.retry_after_given)) error.retry_after = within(settings_.retry_after);
    return error;
  }
  if (strikes(CloudFault::no_effect)) return ProviderError{ErrorKind::unknown, 503, "", "the service is busy", {}};
  return std::nullopt;
}

ProviderError FakeCloud::unanswered() {
  static constexpr std::array<int, 4> statuses{0, 408, 502, 200};
  const int status = statuses[static_cast<std::size_t>(dice_.between(0, 3))];
  return {ErrorKind::unknown, status, "", "no answer that could be read", {}};
}

void FakeCloud::calm() {
  settle();
  settings_.faults = {};
  due_.fill(false);
  outage_.until = Milliseconds{0};
  for (CloudFile& file : files_.all()) {
    if (!file.exists(now())) continue;
    file.seen_from = std::min(file.seen_from, now());
    file.processed_from = std::min(file.processed_from, now() + settings_.processing.most);
    file.gone_from = never;
  }
  for (CloudBatch& batch : batches_) {
    if (batch.vanishes > now()) batch.vanishes = never;
    BatchEntry& entry = entry_of(batch);
    if (entry.lost_from > now()) entry.lost_from = never;
    batch.output_taken = batch.output_unseen = batch.cancel_ignored = batch.input_needed = false;
  }
  for (const std::size_t index : live_) {
    CloudBatch& batch = batches_[index];
    batch.others_cancel.reset();
    // What is stuck goes on at its ordinary pace.
    if (batch.ran == never) {
      batch.over = std::min(batch.over, now() + settings_.validating.most + settings_.cancelling.most);
      if (batch.validated != never) batch.validated = std::min(batch.validated, batch.over);
      continue;
    }
    batch.validated = std::min(batch.validated, now() + settings_.validating.most);
    batch.ran = std::min(batch.ran, now() + settings_.validating.most + settings_.running.most);
    batch.over = std::min(batch.over, std::max(now(), batch.ran) + settings_.finalizing.most + settings_.cancelling.most);
  }
}

BatchId FakeCloud::add_foreign_batch(std::map<std::string, std::string> metadata, std::string filename) {
  const FileId input = add_foreign_file(std::move(filename));
  CloudBatch batch;
  batch.foreign = true;
  batch.accepted = now();
  batch.validated = now();
  batch.shown.id.value = batch_prefix_ + std::to_string(batches_.size());
  batch.shown.input_file_id = input;
  batch.shown.created_at = (now() + settings_.clock_skew).count() / 1000;
  batch.shown.metadata = std::move(metadata);
  batch.counts.total = 1;
  BatchEntry entry;
  entry.id = batch.shown.id;
  entry.foreign = true;
  entry.input = input;
  entry.accepted = entry.listed_from = entry.listed_surely = now();
  ledger_.batches.push_back(std::move(entry));
  batches_.push_back(std::move(batch));
  return batches_.back().shown.id;
}

FileId FakeCloud::add_foreign_file(std::string filename) {
  CloudFile file;
  file.foreign = true;
  file.shown.filename = std::move(filename);
  file.shown.purpose = "batch";
  static const auto text = std::make_shared<const std::string>("{}\n");
  file.content = text;
  file.shown.bytes = static_cast<Bytes>(text->size());
  return files_.add(std::move(file), now(), settings_.clock_skew).shown.id;
}

void FakeCloud::cancel_by_hand(const BatchId& id) {
  settle();
  if (CloudBatch* batch = find(id)) cancel(*batch, now());
  settle();
}

void FakeCloud::delete_by_hand(const FileId& id) {
  settle();
  CloudFile* file = files_.find(id);
  if (!file) return;
  lose(*file);
  for (const CloudBatch& batch : batches_) {
    if (batch.shown.output_file_id == id) entry_of(batch).lost_from = std::min(entry_of(batch).lost_from, now());
  }
}

void FakeCloud::vanish(const BatchId& id) {
  settle();
  CloudBatch* batch = find(id);
  if (!batch) return;
  batch->vanishes = now();
  BatchEntry& entry = entry_of(*batch);
  entry.lost_from = std::min(entry.lost_from, now());
}

const Ledger& FakeCloud::ledger() {
  settle();
  return ledger_;
}

std::size_t FakeCloud::living() {
  settle();
  return live_.size();
}

bool FakeCloud::readable(const LineRun& run) const {
  const CloudBatch& batch = batches_[run.batch];
  if (!run.written || now() >= batch.vanishes) return false;
  if (!batch.is_over) return true;  // it will be
  const CloudFile* file = batch.shown.output_file_id ? files_.find(*batch.shown.output_file_id) : nullptr;
  return file && file->exists(now());
}

std::size_t FakeCloud::files(bool ours_only) const {
  const auto& all = files_.all();
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [&](const CloudFile& file) { return file.exists(now()) && !(ours_only && file.foreign); }));
}

}  // namespace batchd::simulation
