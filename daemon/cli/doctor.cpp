// `doctor`: is this installation well, and if not, what is to be done? Looks only; ends within seconds whatever hangs.
#include "cli/batches.hpp"
#include "cli/context.hpp"
#include "cli/doctor_database.hpp"
#include "cli/doctor_providers.hpp"

#include <boost/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <thread>

namespace batchd {
namespace {

constexpr Milliseconds connect_limit{4'000};
constexpr Milliseconds statement_limit{5'000};
/// For a server that takes a connection and then falls silent.
constexpr std::chrono::seconds database_limit{25};
constexpr Milliseconds provider_limit{15'000};

const char* word(Finding::Level level) {
  switch (level) {
    case Finding::Level::ok:
      return "ok";
    case Finding::Level::warn:
      return "warn";
    case Finding::Level::fail:
      return "fail";
  }
  return "fail";
}

std::string line_of(const Finding& finding) {
  std::string out = padded(word(finding.level), 4) + "  " + padded(finding.subject, 22) + "  " + finding.sentence;
  if (!finding.remedy.empty()) out += " -> " + finding.remedy;
  return out + "\n";
}

boost::json::array to_json(const Findings& findings) {
  boost::json::array out;
  for (const Finding& finding : findings) {
    out.push_back({{"level", word(finding.level)},
                   {"subject", finding.subject},
                   {"sentence", finding.sentence},
                   {"remedy", finding.remedy}});
  }
  return out;
}

/// The examination on a thread of its own; nothing when it does not end in time, and then the thread must be left behind.
std::optional<DatabaseExamination> examine_in_time(const DatabaseSettings& settings, std::shared_ptr<const Config> config) {
  std::packaged_task<DatabaseExamination()> task([settings, config] { return examine_database(settings, *config); });
  auto result = task.get_future();
  std::thread thread(std::move(task));
  if (result.wait_for(database_limit) == std::future_status::ready) {
    thread.join();
    return result.get();
  }
  thread.detach();
  return std::nullopt;
}

int judge(const Findings& findings, bool schema_mismatch) {
  if (schema_mismatch) return exit_schema;
  const bool fails =
      std::any_of(findings.begin(), findings.end(), [](const Finding& f) { return f.level == Finding::Level::fail; });
  return fails ? exit_unhealthy : exit_ok;
}

}  // namespace

int run_doctor(const CommonOptions& common, const DoctorOptions& options) {
  const LoadedConfig loaded = require_config(common, ConfigScope::everything);
  const auto config = std::make_shared<const Config>(loaded.config);
  DatabaseSettings settings = database_settings(common);
  settings.notices = false;
  settings.connect_timeout = connect_limit;
  settings.statement_timeout = statement_limit;

  Findings findings;
  const auto show = [&](const Findings& found) {
    if (!options.json) {
      for (const Finding& finding : found) print(line_of(finding));
    }
    findings.insert(findings.end(), found.begin(), found.end());
  };
  for (const std::string& text : loaded.warnings) show({warning("configuration", text, "see `batchd check-config`")});
  const auto database = examine_in_time(settings, config);
  const Findings silent{failure("database",
                                "it took a question and gave no answer within " + std::to_string(database_limit.count()) + " s",
                                "see whether the server is overloaded, paused or behind a broken proxy")};
  show(database ? database->findings : silent);
  show(examine_providers(*config, database.value_or(DatabaseExamination{}), provider_limit));

  const int code = judge(findings, database && database->schema_mismatch);
  if (options.json) {
    print(boost::json::serialize(
              boost::json::object{{"healthy", code == exit_ok}, {"exit_code", code}, {"findings", to_json(findings)}}) +
          "\n");
  }
  if (!database) ::_exit(code);  // a thread still waits for the server, and must not be waited for
  return code;
}

}  // namespace batchd
