// `pause` and `resume`: nothing new is submitted in a scope, on all replicas, until it is resumed.
#include "cli/context.hpp"
#include "config_table.hpp"
#include "db/acting.hpp"
#include "db/reading.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <string_view>

namespace batchd {
namespace {

constexpr std::string_view job_scope = "job:";
constexpr std::string_view deployment_scope = "deployment:";

std::string named(std::string_view scope, std::string_view prefix) {
  return scope.starts_with(prefix) ? std::string(scope.substr(prefix.size())) : "";
}

void check_scope(const std::string& scope) {
  if (scope == "all" || !named(scope, job_scope).empty() || !named(scope, deployment_scope).empty()) return;
  throw CommandError(exit_usage, "'" + scope + "' is no scope; expected all, job:NAME or deployment:NAME");
}

/// A scope may be paused before there is anything in it, but a slip of the pen should not look like a pause.
void warn_of_strangers(Database& database, const std::string& scope) {
  Acting acting(database);
  if (const std::string job = named(scope, job_scope); !job.empty() && !acting.knows_job(job)) {
    say("warning: nothing was enqueued under the job '" + job + "' yet; the pause waits for it");
  }
  const std::string deployment = named(scope, deployment_scope);
  if (deployment.empty()) return;
  const auto known = acting.deployments();
  if (std::find(known.begin(), known.end(), deployment) != known.end()) return;
  std::string hint = "no replica has run with it yet";
  if (!known.empty()) hint = "the nearest is '" + nearest_of({known.begin(), known.end()}, deployment) + "'";
  say("warning: there is no deployment '" + deployment + "': " + hint + "; the pause waits for it");
}

std::string describe(const PauseLine& line) {
  std::string out = line.scope;
  if (line.reason == "asked") {
    out += ": by request";
  } else {
    out += ": by batchd, " + line.reason;
  }
  if (line.since) out += ", since " + *line.since;
  if (line.until) out += ", tried again at " + *line.until;
  return out;
}

boost::json::array to_json(const std::vector<PauseLine>& lines) {
  boost::json::array out;
  for (const PauseLine& line : lines) {
    out.push_back({{"scope", line.scope},
                   {"asked", line.reason == "asked"},
                   {"reason", line.reason},
                   {"since", maybe(line.since)},
                   {"until", maybe(line.until)}});
  }
  return out;
}

int list(Acting& acting, bool json) {
  const auto lines = acting.pauses();
  if (json) {
    print(boost::json::serialize(boost::json::object{{"pauses", to_json(lines)}}) + "\n");
    return exit_ok;
  }
  if (lines.empty()) print("nothing is paused\n");
  for (const PauseLine& line : lines) print(describe(line) + "\n");
  return exit_ok;
}

}  // namespace

int run_pause(const CommonOptions& common, const PauseOptions& options) {
  check_scope(options.scope);
  Database database(database_settings(common));
  Acting acting(database);
  if (options.list) return list(acting, options.json);
  warn_of_strangers(database, options.scope);
  const bool changed = acting.pause(options.scope);
  if (options.json) {
    print(boost::json::serialize(boost::json::object{{"scope", options.scope}, {"paused", true}, {"changed", changed}}) + "\n");
  } else {
    print(options.scope +
          (changed ? ": paused; nothing new is submitted, what is submitted goes on\n" : " was paused already\n"));
  }
  return exit_ok;
}

int run_resume(const CommonOptions& common, const PauseOptions& options) {
  check_scope(options.scope);
  Database database(database_settings(common));
  Acting acting(database);
  const bool changed = acting.resume(options.scope);
  const auto left = acting.pauses();
  if (options.json) {
    boost::json::object out{{"scope", options.scope}, {"paused", false}, {"changed", changed}};
    out["still_paused"] = to_json(left);
    print(boost::json::serialize(out) + "\n");
    return exit_ok;
  }
  print(options.scope + (changed ? ": resumed\n" : " was not paused\n"));
  for (const PauseLine& line : left) say("still paused: " + describe(line));
  return exit_ok;
}

}  // namespace batchd
