// The names under which our things appear at a provider; how we know our own from everybody else's (P8).
#pragma once

#include "core/types.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace batchd {

/// `custom_id` of one line: `<request id>-<attempt>`, the attempt being the request's own (1 for its first).
struct CustomId {
  RequestId request;
  int attempt = 1;
  friend bool operator==(const CustomId&, const CustomId&) = default;
};

std::string to_string(const CustomId& id);
/// Nothing for anything that to_string does not produce.
std::optional<CustomId> parse_custom_id(std::string_view text);

/// `batchd-<instance>-<shard>-<attempt>.jsonl`, the attempt being the shard's.
std::string input_file_name(std::string_view instance, ShardId shard, int attempt);

/// Whose file a name says that it is.
struct InputFileName {
  std::string instance;
  ShardId shard;
  int attempt = 1;
  friend bool operator==(const InputFileName&, const InputFileName&) = default;
};
/// Nothing for anything that input_file_name does not produce.
std::optional<InputFileName> parse_input_file_name(std::string_view name);

/// The metadata of a batch: batchd_instance, batchd_shard, batchd_attempt.
std::map<std::string, std::string> batch_metadata(std::string_view instance, ShardId shard, int attempt);

}  // namespace batchd
