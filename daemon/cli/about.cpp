// `version`, and the tables of the documentation.
#include "cli/context.hpp"
#include "config_table.hpp"
#include "db/migrator.hpp"
#include "metrics.hpp"

#include <boost/json.hpp>

namespace batchd {

int run_version(bool json) {
  const int schema = embedded_migrations().empty() ? 0 : embedded_migrations().back().version;
  if (json) {
    print(boost::json::serialize(
              boost::json::object{{"version", BATCHD_VERSION}, {"schema", schema}, {"program", program_number}}) +
          "\n");
  } else {
    print("batchd " BATCHD_VERSION "\n");
  }
  return exit_ok;
}

int run_docs(const std::string& what) {
  if (what == "config") {
    print(config_markdown());
    return exit_ok;
  }
  std::string out = "| metric | type | labels | meaning |\n|---|---|---|---|\n";
  for (const MetricInfo& family : Metrics(BATCHD_VERSION).describe()) {
    out += "| `" + family.name + "` | " + family.type + " | " + family.labels + " | " + family.help + " |\n";
  }
  print(out);
  return exit_ok;
}

}  // namespace batchd
