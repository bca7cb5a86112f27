// Configuration files that are none: every problem names its key, and what is shown of it can be shown.
#include "config.hpp"
#include "core/json_scan.hpp"
#include "malformed/corpus.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace batchd::testing {
namespace {

std::string config_verdict(const MalformedCase& tested) {
  const TempDir place;
  std::string text = tested.input();
  const std::string key = place.write("key", "secret\n").string();
  for (auto at = text.find("\"KEY\""); at != std::string::npos; at = text.find("\"KEY\"", at)) text.replace(at + 1, 3, key);
  const LoadedConfig loaded = load_config({{}, {}, place.write("batchd.toml", text)});
  if (loaded.ok()) return "ok";
  std::string keys;
  for (const ConfigProblem& problem : loaded.problems) {
    keys += (keys.empty() ? "" : "+") + problem.key;
    EXPECT_NE(problem.expected, "") << tested.name;
    const std::string shown = to_string(problem);
    EXPECT_TRUE(valid_utf8(shown)) << tested.name << ": " << shown;
    EXPECT_EQ(shown.find('\x1b'), std::string::npos) << tested.name << ": a terminal would obey it";
    EXPECT_LT(shown.size(), 4000U) << tested.name;
  }
  return "problem:" + keys;
}

TEST(Malformed, Configurations) {
  expect_verdicts("configurations", config_verdict);
}

}  // namespace
}  // namespace batchd::testing
