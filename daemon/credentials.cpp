#include "credentials.hpp"

#include <exception>

namespace batchd {

const std::string& Credential::current() {
  if (file_.empty()) return key_.reveal();
  const auto now = changed_at();
  if (now == seen_) return key_.reveal();
  try {
    key_ = read_secret_file(file_);
    seen_ = now;
    log_.info("credential.reread", {{"provider", provider_}});
  } catch (const std::exception& error) {
    log_.warn("credential.unreadable", {{"provider", provider_}, {"error", error.what()}});
  }
  return key_.reveal();
}

std::filesystem::file_time_type Credential::changed_at() const {
  std::error_code gone;
  const auto time = std::filesystem::last_write_time(file_, gone);
  return gone ? std::filesystem::file_time_type{} : time;
}

}  // namespace batchd
