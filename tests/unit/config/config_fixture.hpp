// A directory with a key file, and configurations read from text in it.
#pragma once

#include "config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace batchd {

inline constexpr const char* working = R"(
[database]
url = "postgresql:///batchd"
[[provider]]
name = "eastus"
kind = "azure"
endpoint = "https://my.openai.azure.com/"
api_version = "2024-10-21"
api_key_file = "KEY"
[[deployment]]
name = "mini"
provider = "eastus"
model = "gpt-4o-mini"
enqueued_token_limit = "1B"
)";

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/batchd-config-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    directory_ = pattern;
    write("key", "sk-secret\n");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path write(const std::string& name, const std::string& text) {
    const auto path = directory_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  /// Reads `text`, in which KEY stands for the path of a key file.
  LoadedConfig load(std::string text, Environment environment = {}, std::map<std::string, std::string> flags = {},
                    ConfigScope scope = ConfigScope::everything) {
    for (std::size_t at = 0; (at = text.find("\"KEY\"", at)) != std::string::npos;) {
      text.replace(at + 1, 3, (directory_ / "key").string());
    }
    return load_config({std::move(flags), std::move(environment), write("batchd.toml", text)}, scope);
  }
  /// The one problem of a configuration, of which there must be one.
  ConfigProblem only_problem(const LoadedConfig& loaded) {
    EXPECT_EQ(loaded.problems.size(), 1U) << all(loaded);
    return loaded.problems.empty() ? ConfigProblem{} : loaded.problems.front();
  }
  static std::string all(const LoadedConfig& loaded) {
    std::string out;
    for (const auto& problem : loaded.problems) out += to_string(problem) + "\n";
    return out;
  }
  static std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  std::filesystem::path directory_;
};

}  // namespace batchd
