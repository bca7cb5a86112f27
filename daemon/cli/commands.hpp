// The commands as functions: options in, exit code out. What a command cannot handle itself it throws: a CommandError for
// what the operator can put right, a StoreError when the database cannot be used.
#pragma once

#include "config.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace batchd {

enum ExitCode : int {
  exit_ok = 0,
  exit_failure = 1,
  exit_usage = 2,  ///< wrong options or configuration
  exit_unhealthy = 3,
  exit_schema = 4,           ///< the database's schema does not fit this program
  exit_failed_requests = 5,  ///< finished, but not every request succeeded
};

class CommandError : public std::runtime_error {
 public:
  CommandError(ExitCode code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// What every command takes.
struct CommonOptions {
  std::string config;
  std::string database_url;
};

struct MigrateOptions {
  bool check = false;
  bool json = false;
};

struct CheckConfigOptions {
  bool print_example = false;
  bool json = false;
};

struct SubmitOptions {
  std::string file;  ///< "-" for stdin
  std::string job;
  std::string model;     ///< for bodies without one
  std::string endpoint;  ///< for lines without a url
  int priority = 0;
  bool dry_run = false;
  bool json = false;
};

struct StatusOptions {
  std::optional<std::string> job;
  bool watch = false;
  bool wait = false;
  bool json = false;
};

struct ResultsOptions {
  std::string job;
  std::string output;  ///< "" for stdout
};

/// One job, or one request of it.
struct OrderOptions {
  std::optional<std::string> job;
  std::optional<std::string> key;
  std::optional<std::int64_t> request;
  bool json = false;
};

struct PauseOptions {
  std::string scope = "all";
  bool list = false;
  bool json = false;
};

struct BatchesOptions {
  std::string deployment;  ///< "" for all; ours only
  bool remote = false;
  std::string provider;  ///< "" for all; with `remote` only, as the following
  std::string status;
  std::string since;
  bool json = false;
};

struct TokensOptions {
  std::string file;      ///< "-" for stdin
  std::string encoding;  ///< "" for what each request's model goes by
  bool json = false;
};

struct DoctorOptions {
  bool json = false;
};

struct AdoptOptions {
  bool as_new_instance = false;
  bool resubmit_lost = false;
  bool yes = false;
  bool json = false;
};

struct RunOptions {
  std::string file;    ///< "-" for stdin
  std::string output;  ///< "-" for stdout
  std::string job, model, url;
  std::string kind, endpoint, api_version, api_key_file;
  std::vector<std::string> deployments;  ///< `NAME` or `MODEL=NAME`
  std::string token_limit;
  std::string state_dir, http, postgres_bin;
  bool retry_failed = false;
  bool json = false;
};

int run_serve(const CommonOptions& common);
int run_migrate(const CommonOptions& common, const MigrateOptions& options);
int run_check_config(const CommonOptions& common, const CheckConfigOptions& options);
int run_submit(const CommonOptions& common, const SubmitOptions& options);
int run_status(const CommonOptions& common, const StatusOptions& options);
int run_results(const CommonOptions& common, const ResultsOptions& options);
int run_cancel(const CommonOptions& common, const OrderOptions& options);
int run_retry(const CommonOptions& common, const OrderOptions& options);
int run_pause(const CommonOptions& common, const PauseOptions& options);
int run_resume(const CommonOptions& common, const PauseOptions& options);
int run_batches(const CommonOptions& common, const BatchesOptions& options);
int run_tokens(const CommonOptions& common, const TokensOptions& options);
int run_doctor(const CommonOptions& common, const DoctorOptions& options);
int run_adopt(const CommonOptions& common, const AdoptOptions& options);
int run_run(const CommonOptions& common, const RunOptions& options);
int run_version(bool json);
/// Prints the README's table of `config` keys or of `metrics`.
int run_docs(const std::string& what);

}  // namespace batchd
