#include "core/remote_names.hpp"

#include <charconv>

namespace batchd {

std::string to_string(const CustomId& id) {
  return std::to_string(id.request.value) + '-' + std::to_string(id.attempt);
}

std::optional<CustomId> parse_custom_id(std::string_view text) {
  CustomId id;
  const char* const end = text.data() + text.size();
  const auto [dash, request_error] = std::from_chars(text.data(), end, id.request.value);
  if (request_error != std::errc{} || dash == end || *dash != '-') return std::nullopt;
  const auto [stop, attempt_error] = std::from_chars(dash + 1, end, id.attempt);
  if (attempt_error != std::errc{} || stop != end || to_string(id) != text) return std::nullopt;
  return id;
}

std::string input_file_name(std::string_view instance, ShardId shard, int attempt) {
  return "batchd-" + std::string(instance) + '-' + std::to_string(shard.value) + '-' + std::to_string(attempt) + ".jsonl";
}

std::map<std::string, std::string> batch_metadata(std::string_view instance, ShardId shard, int attempt) {
  return {{"batchd_instance", std::string(instance)},
          {"batchd_shard", std::to_string(shard.value)},
          {"batchd_attempt", std::to_string(attempt)}};
}

}  // namespace batchd
