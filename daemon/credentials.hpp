// A provider's key as it is now: read from its file again whenever the file has changed, so that a rotated key is used
// without a restart. A file that is missing or unusable for a moment leaves the last good key in force.
#pragma once

#include "config.hpp"
#include "log.hpp"

#include <filesystem>
#include <string>

namespace batchd {

class Credential {
 public:
  Credential(const ProviderConfig& provider, Log& log)
      : provider_(provider.name), file_(provider.api_key_file), key_(provider.api_key), log_(log) {
    if (!file_.empty()) seen_ = changed_at();
  }

  const std::string& current();

 private:
  std::filesystem::file_time_type changed_at() const;

  std::string provider_;
  std::filesystem::path file_;  // empty: the key came from the environment and stays
  Secret key_;
  std::filesystem::file_time_type seen_{};
  Log& log_;
};

}  // namespace batchd
