// Everything that a command line can ask of the simulator, with the defaults that answer a small batch within a second.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sim {

using Milliseconds = std::chrono::milliseconds;
using TimePoint = std::chrono::time_point<std::chrono::system_clock, Milliseconds>;

/// By the service's clock.
TimePoint now();
inline std::int64_t unix_seconds(TimePoint time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// As the Date header has it: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(TimePoint time);
/// Sets the service's clock, which now() shows, ahead of the machine's (or behind).
void skew_clock(Milliseconds by);

enum class QuotaMode { late, fast };

struct Settings {
  std::string bind = "127.0.0.1";
  std::uint16_t port = 0;
  std::string port_file;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_self_signed;
  std::string dir;

  Milliseconds validating{200};
  Milliseconds running{500};
  Milliseconds finalizing{200};
  Milliseconds cancelling{200};
  Milliseconds file_pending{0};
  Milliseconds list_lag{0};
  Milliseconds file_invisible{0};
  Milliseconds release_lag{0};
  Milliseconds window{std::chrono::hours(24)};

  std::size_t answer_bytes = 200;
  std::uint64_t seed = 1;
  bool cancelled_lines = false;

  std::vector<std::string> keys;
  std::size_t max_files = 500;
  bool count_outputs = true;
  std::map<std::string, std::uint64_t> deployments;
  std::uint64_t limit = 1'000'000'000'000;
  QuotaMode quota_mode = QuotaMode::late;
  std::string count = "bytes4";
  std::string token_table;

  bool fast = false;
  bool strict = true;
  bool light_ledger = false;
  bool log = false;
  bool resource_per_host = false;
  std::string record;  ///< empty: not recorded
  std::string base_path;
  std::vector<std::string> faults;
  std::uint32_t foreign = 0;
  std::string cancel_conflict = "conflict";
  std::vector<std::string> rate_limits;
  std::string window_refusal = "dialect";
  std::string list_order = "newest";
  std::string stale_after = "400";
  std::string empty_error_file = "dialect";
  std::string expiry_fields = "both";
  Milliseconds expiry_min{std::chrono::hours(14 * 24)};  ///< of Azure
  Milliseconds file_expiry{0};                           ///< 0: when the client asked for it
  Milliseconds file_running{0};
  Milliseconds results_invisible{0};
  std::size_t max_files_expiring = 10'000;
  std::uint64_t max_upload = 209'715'200;
  std::uint32_t max_requests = 0;  ///< 0: the dialect's
  int upload_status = 0;           ///< 0: the dialect's
  int create_status = 0;
  bool never_expire = false;
  std::vector<std::string> accept;
  bool require_token = false;
  Milliseconds token_life{std::chrono::hours(1)};
  std::string token_audience = "https://cognitiveservices.azure.com";
  std::string client_secret;   ///< empty: any
  std::string assertion_file;  ///< empty: any assertion
  std::string shape;
  std::string error_style;
  std::string fast_refusal = "both";
  std::string enqueued_headers = "all";
  std::int64_t page_size = 0;  ///< 0: as many as are asked for
  Milliseconds clock_skew{0};

  /// A rule that is not enforced (--accept).
  bool accepts(const std::string& rule) const { return std::find(accept.begin(), accept.end(), rule) != accept.end(); }
  bool tls() const { return !tls_cert.empty() || !tls_self_signed.empty(); }
};

/// Reads argv. Returns nothing to go on, or the exit code when there is nothing more to do (help, or bad usage).
int read_command_line(int argc, char** argv, Settings& settings, bool& go_on);

/// "500ms", "2s", "1m", "24h", "0". Throws std::invalid_argument.
Milliseconds parse_duration(const std::string& text);

}  // namespace sim
