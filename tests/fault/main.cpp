// batchd-faulty: `batchd serve` with failpoints around its ports, for the campaign in this folder. It is never installed.
//   batchd-faulty serve --config FILE      BATCHD_FAILPOINT, BATCHD_FAILPOINT_SEED and BATCHD_FAILPOINT_TRACE: see failpoints.hpp
//   batchd-faulty --list-failpoints
#include "application.hpp"
#include "cli/context.hpp"
#include "fault/failing_provider.hpp"
#include "fault/failing_store.hpp"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <optional>
#include <string>

namespace {

using namespace batchd;

class FailingPorts : public PortWrapper {
 public:
  explicit FailingPorts(fault::Failpoints& points) : points_(points) {}

  Store& wrap(Store& store) override { return store_.emplace(store, points_); }
  Provider& wrap(Provider& provider) override { return providers_.emplace_back(provider, points_, calling_); }
  bool may_call(bool trusted) override {
    const std::string_view verb = std::exchange(calling_, {});
    // Whoever says `fail` here has a lease that ran out at the last moment.
    if (trusted && !verb.empty()) return !points_.pass(verb, ".sending");
    return trusted;
  }

 private:
  fault::Failpoints& points_;
  std::string_view calling_;
  std::optional<fault::FailingStore> store_;
  std::deque<fault::FailingProvider> providers_;
};

/// A variable that is ours alone: the configuration does not know it and would say so.
std::string take_variable(const char* name) {
  const char* const value = std::getenv(name);
  const std::string taken = value == nullptr ? "" : value;
  ::unsetenv(name);
  return taken;
}

int serve_with_failpoints(const std::string& config) {
  const std::string orders = take_variable("BATCHD_FAILPOINT");
  const std::string seed = take_variable("BATCHD_FAILPOINT_SEED");
  const std::string trace = take_variable("BATCHD_FAILPOINT_TRACE");
  fault::Failpoints points(orders, seed.empty() ? 1 : std::stoull(seed), trace);
  FailingPorts ports(points);
  const LoadedConfig loaded = require_config({config, ""}, ConfigScope::everything);
  const LogConfig& settings = loaded.config.log;
  Log log(parse_log_level(settings.level).value_or(LogLevel::info),
          parse_log_format(settings.format).value_or(LogFormat::automatic));
  return serve(loaded.config, log, {}, ports);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    if (arguments == std::vector<std::string>{"--list-failpoints"}) {
      for (const std::string& name : fault::all_points()) std::puts(name.c_str());
      return exit_ok;
    }
    if (arguments.size() == 3 && arguments[0] == "serve" && arguments[1] == "--config")
      return serve_with_failpoints(arguments[2]);
  } catch (const std::exception& error) {
    say(std::string("batchd-faulty: ") + error.what());
    return exit_usage;
  }
  say("usage: batchd-faulty serve --config FILE | --list-failpoints");
  return exit_usage;
}
