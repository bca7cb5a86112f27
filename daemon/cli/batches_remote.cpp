// `batches --remote`: what the providers list, ours marked with their shards, printed page by page.
#include "cli/batches.hpp"
#include "cli/context.hpp"
#include "cli/provider_calls.hpp"
#include "cli/remote_list.hpp"
#include "config_table.hpp"
#include "config_values.hpp"
#include "db/diagnosis.hpp"
#include "provider/printable.hpp"
#include "provider/wire.hpp"

#include <boost/json.hpp>

#include <array>
#include <chrono>

namespace batchd {
namespace {

constexpr int tries_a_page = 5;
/// For the metadata by which we know our own (core/remote_names.hpp).
constexpr const char* instance_key = "batchd_instance";
constexpr const char* shard_key = "batchd_shard";

std::string metadata_of(const Batch& batch, const char* key) {
  const auto found = batch.metadata.find(key);
  return found == batch.metadata.end() ? "" : found->second;
}

/// Whose a batch is.
struct Owner {
  bool ours = false;
  std::string instance;             ///< as its metadata says, "" for none
  std::string shard;                ///< ours: as we know it, else as its metadata says
  std::optional<KnownBatch> known;  ///< the shard of ours that has it
};

Owner owner_of(const Batch& batch, const std::map<std::string, KnownBatch>& known, const std::string& instance) {
  Owner owner;
  owner.instance = metadata_of(batch, instance_key);
  owner.shard = metadata_of(batch, shard_key);
  if (const auto found = known.find(batch.id.value); found != known.end()) {
    owner.known = found->second;
    owner.shard = std::to_string(found->second.shard);
  }
  owner.ours = owner.instance.empty() ? owner.known.has_value() : owner.instance == instance;
  return owner;
}

std::string sentence(const Owner& owner) {
  if (!owner.ours) {
    if (owner.instance.empty()) return "foreign";
    // What others wrote is shown as text, whatever it would do to a terminal.
    return "foreign: instance " + printable_message(owner.instance, "") + ", shard " + printable_message(owner.shard, "");
  }
  if (!owner.known) return "ours: shard " + owner.shard + ", which has no such batch (any more)";
  return "ours: shard " + owner.shard + ", " + owner.known->state;
}

/// What --status and --since ask for.
BatchFilter filter_of(const BatchesOptions& options) {
  BatchFilter filter;
  if (!options.status.empty()) {
    filter.status = parse_batch_status(options.status);
    if (*filter.status == BatchStatus::unknown) {
      throw CommandError(exit_usage, "--status " + options.status +
                                         " is no status of a batch; expected validating, in_progress, finalizing, completed, "
                                         "failed, expired, cancelling or cancelled");
    }
  }
  if (options.since.empty()) return filter;
  if (const auto ago = parse_duration(options.since)) {
    const auto now = std::chrono::system_clock::now() - *ago;
    filter.since = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  } else {
    const bool day = options.since.size() == 10;
    filter.since = parse_unix_time(day ? options.since + "T00:00:00Z" : options.since);
  }
  if (!filter.since) {
    throw CommandError(exit_usage, "--since " + options.since +
                                       " is no time; expected how long ago, such as 24h, or a time in UTC, such as 2026-01-31 or "
                                       "2026-01-31T12:00:00Z");
  }
  return filter;
}

std::vector<ProviderConfig> chosen_providers(const Config& config, const std::string& name) {
  std::vector<ProviderConfig> chosen;
  std::vector<std::string_view> names;
  for (const ProviderConfig& provider : config.providers) {
    names.push_back(provider.name);
    if (name.empty() || provider.name == name) chosen.push_back(provider);
  }
  if (chosen.empty()) {
    throw CommandError(
        exit_usage, "there is no provider '" + name + "' in the configuration; the nearest is '" + nearest_of(names, name) + "'");
  }
  return chosen;
}

boost::json::value file_value(const std::optional<FileId>& file) {
  return file ? boost::json::value(file->value) : boost::json::value();
}

boost::json::object to_json(const std::string& provider, const Batch& batch, const Owner& owner) {
  boost::json::object out{{"provider", provider}, {"batch", batch.id.value}, {"status", to_string(batch.status)}};
  out["created"] = batch.created_at ? boost::json::value(utc_time(*batch.created_at)) : boost::json::value();
  out["ours"] = owner.ours;
  out["instance"] = owner.instance.empty() ? boost::json::value() : boost::json::value(owner.instance);
  out["shard"] = owner.shard.empty() ? boost::json::value() : boost::json::value(owner.shard);
  out["shard_state"] = owner.known ? boost::json::value(owner.known->state) : boost::json::value();
  out["input_file"] = file_value(batch.input_file_id);
  out["output_file"] = file_value(batch.output_file_id);
  out["error_file"] = file_value(batch.error_file_id);
  out["requests"] = nullptr;
  if (batch.counts) {
    out["requests"] = {{"total", batch.counts->total}, {"completed", batch.counts->completed}, {"failed", batch.counts->failed}};
  }
  boost::json::array errors;
  for (const BatchError& error : batch.errors) {
    boost::json::object one{{"code", error.code}, {"message", error.message}};
    one["line"] = error.line ? boost::json::value(*error.line) : boost::json::value();
    errors.push_back(std::move(one));
  }
  out["errors"] = std::move(errors);
  return out;
}

std::string line_of(const std::array<std::string, 6>& cells) {
  constexpr std::array<std::size_t, 6> widths{12, 42, 11, 20, 15, 0};
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) out += (i > 0 ? "  " : "") + padded(cells[i], widths[i]);
  return out + "\n";
}

std::string to_text(const std::string& provider, const Batch& batch, const Owner& owner) {
  std::string counts = "-";
  if (batch.counts) counts = grouped(batch.counts->completed) + "/" + grouped(batch.counts->total);
  std::string whose = sentence(owner);
  if (!batch.errors.empty()) {
    whose += "; " + printable_message(batch.errors.front().code + ": " + batch.errors.front().message, "");
  }
  return line_of({provider, batch.id.value, std::string(to_string(batch.status)),
                  batch.created_at ? utc_time(*batch.created_at) : "-", counts, whose});
}

/// One JSON document in the end, printed entry by entry; or a line of text for each.
class Printer {
 public:
  explicit Printer(bool json) : json_(json) {
    if (json_) {
      print("{\"batches\":[");
    } else {
      print(line_of({"provider", "batch", "status", "created", "answered", "whose"}));
    }
  }
  void batch(const std::string& provider, const Batch& batch, const Owner& owner) {
    ++count_;
    if (owner.ours) ++ours_;
    if (json_) {
      print((count_ > 1 ? ",\n" : "\n") + boost::json::serialize(to_json(provider, batch, owner)));
    } else {
      print(to_text(provider, batch, owner));
    }
  }
  void problem(const std::string& provider, const std::string& sentence, const std::string& remedy) {
    say("provider " + provider + " " + sentence + (remedy.empty() ? "" : "; " + remedy));
    problems_.push_back({{"provider", provider}, {"message", sentence}});
  }
  int finish() {
    const bool whole = problems_.empty();
    if (json_) print("\n],\"problems\":" + boost::json::serialize(problems_) + "}\n");
    if (!json_) say(grouped(count_) + " batches, " + grouped(ours_) + " of them ours");
    return whole ? exit_ok : exit_failure;
  }

 private:
  bool json_;
  std::int64_t count_ = 0;
  std::int64_t ours_ = 0;
  boost::json::array problems_;
};

Task<void> list_one(Provider& provider, const ProviderConfig& config, const BatchFilter& filter, Diagnosis& diagnosis,
                    const std::string& instance, Printer& printer) {
  BatchSink sink = [&](const std::vector<Batch>& batches) {
    std::vector<std::string> ids;
    for (const Batch& batch : batches) ids.push_back(batch.id.value);
    const auto known = diagnosis.known(ids);
    for (const Batch& batch : batches) {
      if (filter.passes(batch)) printer.batch(config.name, batch, owner_of(batch, known, instance));
    }
    return true;
  };
  const ListEnd end = co_await each_batch(provider, filter, sink, tries_a_page);
  if (end.error) {
    const Advice advice = advise(config, *end.error);
    printer.problem(config.name, advice.what, advice.remedy);
  } else if (!end.fault.empty()) {
    printer.problem(config.name, "was not listed to the end: " + end.fault, "");
  }
}

}  // namespace

int run_remote_batches(const CommonOptions& common, const BatchesOptions& options) {
  const BatchFilter filter = filter_of(options);
  const Config config = require_config(common, ConfigScope::everything).config;
  const auto chosen = chosen_providers(config, options.provider);
  Database database(database_settings(common));
  Diagnosis diagnosis(database);
  const std::string instance = diagnosis.instance().id;
  ProviderCalls calls(config);
  Printer printer(options.json);
  for (const ProviderConfig& provider : chosen) {
    const auto ends = calls.run(
        {[&] { return list_one(calls.at(provider.name), provider, filter, diagnosis, instance, printer); }}, Milliseconds{0});
    if (!ends.front().failure.empty()) throw CommandError(exit_failure, ends.front().failure);
  }
  return printer.finish();
}

}  // namespace batchd
