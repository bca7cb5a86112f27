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
  if (id.request.value <= 0 || id.attempt <= 0) return std::nullopt;
  return id;
}

std::string input_file_name(std::string_view instance, ShardId shard, int attempt) {
  return "batchd-" + std::string(instance) + '-' + std::to_string(shard.value) + '-' + std::to_string(attempt) + ".jsonl";
}

std::optional<InputFileName> parse_input_file_name(std::string_view name) {
  constexpr std::string_view prefix = "batchd-";
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view rest = name.substr(prefix.size());
  const auto dash = rest.find('-');
  if (dash == 0 || dash == std::string_view::npos) return std::nullopt;
  InputFileName read;
  read.instance = rest.substr(0, dash);
  const char* const end = rest.data() + rest.size();
  const auto [stop, shard_error] = std::from_chars(rest.data() + dash + 1, end, read.shard.value);
  if (shard_error != std::errc{} || stop == end || read.shard.value <= 0) return std::nullopt;
  const auto [after, attempt_error] = std::from_chars(stop + 1, end, read.attempt);
  if (attempt_error != std::errc{} || read.attempt <= 0 || input_file_name(read.instance, read.shard, read.attempt) != name)
    return std::nullopt;
  return read;
}

std::map<std::string, std::string> batch_metadata(std::string_view instance, ShardId shard, int attempt) {
  return {{"batchd_instance", std::string(instance)},
          {"batchd_shard", std::to_string(shard.value)},
          {"batchd_attempt", std::to_string(attempt)}};
}

}  // namespace batchd
