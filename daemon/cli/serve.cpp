#include "application.hpp"
#include "cli/context.hpp"
#include "log.hpp"

namespace batchd {

int run_serve(const CommonOptions& common) {
  const LoadedConfig loaded = require_config(common, ConfigScope::everything);
  if (!loaded.warnings.empty()) {
    const LogConfig& log = loaded.config.log;
    Log out(parse_log_level(log.level).value_or(LogLevel::info), parse_log_format(log.format).value_or(LogFormat::automatic));
    // Not warn(): that would show the first of several only.
    for (const std::string& warning : loaded.warnings) out.info("configuration.warning", {{"warning", warning}});
  }
  return serve(loaded.config);
}

}  // namespace batchd
