// The names by which we know our own (P8): what is read as ours is, letter for letter, what we would have written; what we write
// is read as what it was; a batch with another instance's metadata, or with metadata that is not ours, is never claimed. Input: a
// name as FuzzedDataProvider ends a text, then numbers.
#include "core/remote_names.hpp"
#include "core/recognition.hpp"
#include "harness.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

namespace batchd::fuzz {
namespace {

void check_read(std::string_view text) {
  if (const auto id = parse_custom_id(text)) holds(to_string(*id) == text, "an id that is ours is as we write it");
  if (const auto name = parse_input_file_name(text)) {
    holds(input_file_name(name->instance, name->shard, name->attempt) == text, "a file's name that is ours is as we write it");
    holds(name->shard.value > 0 && name->attempt > 0 && !name->instance.empty(), "of a shard that can be");
  }
}

void check_metadata(std::string_view instance, ShardId shard, int attempt, const std::string& stray) {
  Batch batch;
  batch.id = BatchId{"batch_1"};
  batch.input_file_id = FileId{"file-1"};
  batch.metadata = batch_metadata(instance, shard, attempt);
  const auto claim = claim_of(batch, instance);
  holds(claim && claim->shard == shard && claim->attempt == attempt && claim->batch == batch.id,
        "our batch is claimed as what it is");
  holds(!claim_of(batch, std::string(instance) + 'x'), "another instance's is not");
  batch.metadata["batchd_shard"] = stray;
  const auto strange = claim_of(batch, instance);
  if (strange && strange->shard) holds(std::to_string(strange->shard->value) == stray, "a shard's number is read as it stands");
  batch.metadata["batchd_instance"] = stray;
  holds(!claim_of(batch, instance) || stray == instance, "metadata of others claims nothing");
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  const std::string text = data.ConsumeRandomLengthString(200);
  check_read(text);
  const CustomId id{RequestId{data.ConsumeIntegral<std::int64_t>()}, data.ConsumeIntegral<int>()};
  const auto read = parse_custom_id(to_string(id));
  holds(id.request.value <= 0 || id.attempt <= 0 || read == id, "an id of ours is read as what it was");
  holds(to_string(id).size() <= 64, "and is short enough for a provider");
  const ShardId shard{data.ConsumeIntegralInRange<std::int64_t>(1, INT64_MAX)};
  const int attempt = data.ConsumeIntegralInRange<int>(1, INT32_MAX);
  std::string instance = "i";
  std::copy_if(text.begin(), text.end(), std::back_inserter(instance),
               [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
  const InputFileName name{instance, shard, attempt};
  holds(parse_input_file_name(input_file_name(instance, shard, attempt)) == name, "a file's name is read as what it was");
  check_metadata(instance, shard, attempt, text);
}

}  // namespace batchd::fuzz
