// `batches`: our live shards and the batches they became.
#include "cli/batches.hpp"

#include "cli/context.hpp"
#include "db/reading.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <ctime>

namespace batchd {
namespace {

constexpr int most_shards = 10'000;

/// The provider's own account of an error, which is stored as JSON.
boost::json::value error_value(const std::string& text) {
  if (text.empty()) return nullptr;
  boost::system::error_code bad;
  boost::json::value value = boost::json::parse(text, bad);
  return bad ? boost::json::value(text) : value;
}

std::string error_sentence(const std::string& text) {
  const boost::json::value value = error_value(text);
  const auto* object = value.if_object();
  if (!object) return text;
  std::string out;
  for (const char* key : {"code", "message"}) {
    const auto* member = object->if_contains(key);
    if (member && member->is_string()) out += (out.empty() ? "" : ": ") + std::string(member->get_string());
  }
  return out.empty() ? text : out;
}

boost::json::object to_json(const ShardLine& line) {
  boost::json::object out{{"shard", line.shard},
                          {"state", line.state},
                          {"batch", maybe(line.batch)},
                          {"status", line.batch ? boost::json::value(line.batch_status) : boost::json::value()},
                          {"provider", line.provider},
                          {"deployment", line.deployment},
                          {"model", line.model},
                          {"attempt", line.attempt},
                          {"requests", line.requests},
                          {"input_file", maybe(line.input_file)},
                          {"answer_unknown", line.answer_unknown},
                          {"age_seconds", line.age_seconds}};
  out["error"] = error_value(line.error);
  return out;
}

std::string shown_status(const ShardLine& line) {
  if (line.answer_unknown) return "answer unknown";
  return line.batch ? line.batch_status : "-";
}

void print_table(const std::vector<ShardLine>& lines) {
  std::vector<std::array<std::string, 8>> rows{{"shard", "state", "batch", "status", "deployment", "requests", "attempt", "for"}};
  for (const ShardLine& line : lines) {
    rows.push_back({std::to_string(line.shard), line.state, line.batch.value_or("-"), shown_status(line), line.deployment,
                    grouped(line.requests), std::to_string(line.attempt), short_age(line.age_seconds)});
  }
  std::array<std::size_t, 8> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (std::size_t n = 0; n < rows.size(); ++n) {
    std::string text;
    for (std::size_t i = 0; i < rows[n].size(); ++i) text += padded(rows[n][i], widths[i]) + "  ";
    if (n > 0 && !lines[n - 1].error.empty()) text += error_sentence(lines[n - 1].error);
    print(text.substr(0, text.find_last_not_of(' ') + 1) + "\n");
  }
}

}  // namespace

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string short_age(std::int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 7200) return std::to_string(seconds / 60) + "m";
  if (seconds < 172'800) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86'400) + "d";
}

std::string utc_time(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  char text[32] = {};
  if (::gmtime_r(&time, &parts) == nullptr || std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) return "";
  return text;
}

int run_batches(const CommonOptions& common, const BatchesOptions& options) {
  if (options.remote) {
    if (!options.deployment.empty()) {
      throw CommandError(exit_usage, "--deployment is for our own shards; with --remote use --provider");
    }
    return run_remote_batches(common, options);
  }
  if (!options.provider.empty() || !options.status.empty() || !options.since.empty()) {
    throw CommandError(exit_usage, "--provider, --status and --since go with --remote");
  }
  Database database(database_settings(common));
  auto lines = Reading(database).shards(most_shards + 1, options.deployment);
  const bool more = lines.size() > most_shards;
  if (more) lines.resize(most_shards);
  if (options.json) {
    boost::json::array shards;
    for (const ShardLine& line : lines) shards.push_back(to_json(line));
    print(boost::json::serialize(boost::json::object{{"shards", std::move(shards)}, {"more", more}}) + "\n");
    return exit_ok;
  }
  if (lines.empty()) {
    print("no shards are under way" + (options.deployment.empty() ? "" : " for the deployment '" + options.deployment + "'") +
          "\n");
    return exit_ok;
  }
  print_table(lines);
  if (more) say("more than " + grouped(most_shards) + " shards are under way; the rest is not shown");
  return exit_ok;
}

}  // namespace batchd
