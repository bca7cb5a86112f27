#include "settings.hpp"

#include "error_style.hpp"
#include "faults.hpp"
#include "poison.hpp"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <ctime>
#include <stdexcept>

namespace sim {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : " ") + name;
  return out;
}

std::string text_of(Milliseconds time) {
  const auto count = time.count();
  if (count == 0) return "0";
  if (count % 3'600'000 == 0) return std::to_string(count / 3'600'000) + "h";
  return count % 1000 == 0 ? std::to_string(count / 1000) + "s" : std::to_string(count) + "ms";
}

Milliseconds parse_signed_duration(const std::string& text, bool may_be_negative) {
  if (may_be_negative && text.starts_with('-')) return -parse_duration(text.substr(1));
  return parse_duration(text);
}

void add_duration(CLI::App& app, const std::string& name, Milliseconds& into, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&into, name](const std::string& text) {
           try {
             into = parse_signed_duration(text, name == "--clock-skew");
           } catch (const std::invalid_argument& error) {
             throw CLI::ValidationError(name, error.what());
           }
         },
         help + " [" + text_of(into) + "]")
      ->type_name("DURATION");
}

void add_deployment(Settings& settings, const std::string& text) {
  const auto equals = text.rfind('=');
  std::size_t used = 0;
  std::uint64_t limit = 0;
  try {
    if (equals != std::string::npos) limit = std::stoull(text.substr(equals + 1), &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (equals == std::string::npos || equals == 0 || used == 0 || used != text.size() - equals - 1) {
    throw CLI::ValidationError("--deployment", "expected NAME=TOKENS, not '" + text + "'");
  }
  settings.deployments[text.substr(0, equals)] = limit;
}

void add_network_options(CLI::App& app, Settings& s) {
  app.add_option("--port", s.port, "TCP port, 0: any free one")->capture_default_str();
  app.add_option("--bind", s.bind, "address to listen on")->capture_default_str();
  app.add_option("--port-file", s.port_file, "file that gets the port once the simulator listens, written at one stroke");
  auto* const cert = app.add_option("--tls-cert", s.tls_cert, "PEM certificate chain: speak TLS");
  auto* const key = app.add_option("--tls-key", s.tls_key, "PEM private key of --tls-cert");
  cert->needs(key);
  key->needs(cert);
  app.add_option("--tls-self-signed", s.tls_self_signed,
                 "speak TLS with a certificate made now, which is written to this file for clients to trust")
      ->excludes(cert);
  app.add_option("--dir", s.dir, "where uploaded files are kept, nameless, until deleted [$TMPDIR or /tmp]");
  app.add_option("--api-key", s.keys, "accept only this key (may be repeated) [any key]");
  app.add_flag("--resource-per-host", s.resource_per_host, "each Host header is a resource of its own");
  app.add_flag("--log", s.log, "a line on stderr for each call");
  app.add_option("--record", s.record, "append each call as a JSON line, with the beginning of its body")->type_name("FILE");
  app.add_option("--base-path", s.base_path, "OpenAI's API also answers below this path, such as /gateway")->type_name("PATH");
}

void add_time_options(CLI::App& app, Settings& s) {
  add_duration(app, "--validating", s.validating, "time a batch is validating");
  add_duration(app, "--running", s.running, "time a batch is in_progress");
  add_duration(app, "--finalizing", s.finalizing, "time a batch is finalizing");
  add_duration(app, "--cancelling", s.cancelling, "time a batch is cancelling");
  add_duration(app, "--file-pending", s.file_pending, "time a file is pending (Azure)");
  add_duration(app, "--file-invisible", s.file_invisible, "time before a new file can be seen");
  add_duration(app, "--file-running", s.file_running, "time a file is running after it was pending (Azure)");
  add_duration(app, "--results-invisible", s.results_invisible,
               "time before the result files of a batch that is over can be seen");
  add_duration(app, "--file-expiry", s.file_expiry,
               "time after which every file is gone, whatever was asked; 0: only when asked");
  app.add_flag("--never-expire", s.never_expire, "batches run on after their window has passed");
  add_duration(app, "--list-lag", s.list_lag, "time before a new batch is listed");
  add_duration(app, "--release-lag", s.release_lag, "time a batch that is over still holds its tokens");
  add_duration(app, "--window", s.window, "time before an unfinished batch expires");
  app.add_flag("--fast", s.fast, "states take no time, except those given here");
}

void make_fast(const CLI::App& app, Settings& s) {
  const std::pair<const char*, Milliseconds*> times[] = {{"--validating", &s.validating},
                                                         {"--running", &s.running},
                                                         {"--finalizing", &s.finalizing},
                                                         {"--cancelling", &s.cancelling}};
  for (const auto& [name, time] : times) {
    if (app.count(name) == 0) *time = Milliseconds(0);
  }
}

void add_rule_options(CLI::App& app, Settings& s) {
  app.add_option_function<std::vector<std::string>>(
         "--deployment",
         [&s](const std::vector<std::string>& all) {
           for (const auto& one : all) add_deployment(s, one);
         },
         "a deployment and its enqueued-token limit (may be repeated); models of other names are refused then [any name]")
      ->type_name("NAME=TOKENS");
  app.add_option("--limit", s.limit, "enqueued-token limit of each deployment that --deployment does not name")
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--quota-mode", [&s](const std::string& mode) { s.quota_mode = mode == "fast" ? QuotaMode::fast : QuotaMode::late; },
         "above the limit: 'late' a batch turns failed, 'fast' its creation is refused [late]")
      ->check(CLI::IsMember({"late", "fast"}))
      ->type_name("MODE");
  app.add_option("--count", s.count, "how tokens are counted: bytes4 (of the body), table (of the prompt)")
      ->check(CLI::IsMember({"bytes4", "table", "exact"}))
      ->capture_default_str();
  app.add_option("--token-table", s.token_table, "JSON file {prompt: tokens} for --count table");
  app.add_option("--rate-limit", s.rate_limits,
                 "calls that a resource may make in a second, minute or hour; OPERATION is one that faults "
                 "name, or any (may be repeated)")
      ->type_name("OPERATION=N/UNIT");
  app.add_option("--cancel-conflict", s.cancel_conflict, "Azure's code when a batch that is over is cancelled")
      ->check(CLI::IsMember({"conflict", "unexpectedEntityState"}))
      ->capture_default_str();
  app.add_option("--max-files", s.max_files, "files that an Azure resource may hold")->capture_default_str();
  app.add_option("--max-files-expiring", s.max_files_expiring, "the same, when the new file has an expiry")
      ->capture_default_str();
  app.add_option("--max-requests", s.max_requests, "requests of a file, 0: the dialect's 100000 or 50000")->capture_default_str();
  app.add_option("--max-upload", s.max_upload, "bytes of a file")->capture_default_str();
  app.add_flag_callback(
      "--inputs-only", [&s] { s.count_outputs = false; }, "--max-files counts uploaded files only");
  app.add_flag_callback(
      "--lenient", [&s] { s.strict = false; }, "pass over unknown members, fields and parameters instead of refusing them");
}

void add_oddity_options(CLI::App& app, Settings& s) {
  app.add_option("--accept", s.accept, "a rule that is not enforced (may be repeated)")
      ->check(CLI::IsMember({"content-type", "filename", "bom", "embeddings"}))
      ->type_name("RULE");
  app.add_option("--upload-status", s.upload_status, "the status of a successful upload, 0: the dialect's")
      ->capture_default_str();
  app.add_option("--create-status", s.create_status, "the status of a successful creation, 0: the dialect's")
      ->capture_default_str();
  app.add_option("--window-refusal", s.window_refusal,
                 "a completion_window other than 24h is refused 'sync', or the batch fails 'async'")
      ->check(CLI::IsMember({"dialect", "sync", "async"}))
      ->capture_default_str();
  app.add_option("--list-order", s.list_order, "of batches")->check(CLI::IsMember({"newest", "oldest"}))->capture_default_str();
  app.add_option("--stale-after", s.stale_after,
                 "a list after an unknown batch: refused with 400 or 404, from the 'start', or 'empty'")
      ->check(CLI::IsMember({"400", "404", "start", "empty"}))
      ->capture_default_str();
  app.add_option("--empty-error-file", s.empty_error_file, "a completed batch without failures has an error file of no bytes")
      ->check(CLI::IsMember({"dialect", "always", "never"}))
      ->capture_default_str();
  app.add_option("--expiry-fields", s.expiry_fields, "spelling of expires_after in Azure's uploads")
      ->check(CLI::IsMember({"both", "dotted", "bracketed"}))
      ->capture_default_str();
  add_duration(app, "--expiry-min", s.expiry_min, "the shortest expiry that Azure takes");
  app.add_option("--shape", s.shape, "how every batch, file and list looks, as POST /sim/shape takes it")->type_name("JSON");
  app.add_option("--error-style", s.error_style, "the form of every error object [plain]")->check(CLI::IsMember(error_styles()));
  app.add_option("--fast-refusal", s.fast_refusal, "where --quota-mode fast names token_limit_exceeded, or with which status")
      ->check(CLI::IsMember({"both", "code", "message", "inner", "429"}))
      ->capture_default_str();
  app.add_option("--enqueued-headers", s.enqueued_headers,
                 "Azure's deployment-enqueued-tokens: of 'all' jobs of the deployment, of this 'file', or 'absent'")
      ->check(CLI::IsMember({"all", "file", "absent"}))
      ->capture_default_str();
  app.add_option("--page-size", s.page_size, "most entries that a page has, whatever is asked for, 0: no such limit")
      ->capture_default_str();
  add_duration(app, "--clock-skew", s.clock_skew, "how far the service's clock is ahead; -5m: behind");
}

void add_identity_options(CLI::App& app, Settings& s) {
  app.add_flag("--require-token", s.require_token, "Azure takes no keys, only tokens that the simulator's login services issued");
  add_duration(app, "--token-life", s.token_life, "time a token is good for");
  app.add_option("--token-audience", s.token_audience, "the scope, without its /.default, whose tokens the API takes")
      ->capture_default_str();
  app.add_option("--client-secret", s.client_secret, "the only secret that logs in [any]");
  app.add_option("--assertion-file", s.assertion_file, "file whose first line is the only assertion that logs in [any]");
}

void add_answer_options(CLI::App& app, Settings& s) {
  app.add_option("--answer-bytes", s.answer_bytes, "length of each answer's content, at least 118")->capture_default_str();
  app.add_option("--seed", s.seed, "of the order of lines and of faults by chance")->capture_default_str();
  app.add_flag("--cancelled-lines", s.cancelled_lines,
               "requests that a cancel kept from running stand in the error file as batch_cancelled");
  app.add_option("--fault", s.faults, "a fault as POST /sim/faults takes it (may be repeated)")->type_name("JSON");
  app.add_option("--foreign", s.foreign, "batches, and as many files more, of somebody else in each resource")
      ->capture_default_str();
  app.add_flag("--light-ledger", s.light_ledger, "keep totals only, not each request that ran (for very long runs)");
}

}  // namespace

namespace {

Milliseconds clock_offset{0};  ///< of the whole process, set once before it serves

}  // namespace

TimePoint now() {
  return std::chrono::time_point_cast<Milliseconds>(std::chrono::system_clock::now()) + clock_offset;
}

void skew_clock(Milliseconds by) {
  clock_offset = by;
}

std::string http_date(TimePoint time) {
  const std::time_t seconds = unix_seconds(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const auto length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return {text, length};
}

Milliseconds parse_duration(const std::string& text) {
  std::size_t used = 0;
  double number = -1;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
  }
  const std::string unit = number < 0 ? "?" : text.substr(used);
  const double factor = unit == "ms" ? 1 : unit == "s" ? 1e3 : unit == "m" ? 60e3 : unit == "h" ? 3600e3 : -1;
  if (number == 0 && unit.empty()) return Milliseconds(0);
  if (factor < 0 || number * factor > 1e12)
    throw std::invalid_argument("expected a duration such as 500ms, 2s, 1m or 24h, not '" + text + "'");
  return Milliseconds(static_cast<std::int64_t>(number * factor));
}

int read_command_line(int argc, char** argv, Settings& settings, bool& go_on) {
  CLI::App app(
      "A provider for tests: the Files and Batch APIs of Azure OpenAI (dated and v1) and OpenAI on one port, stricter than the "
      "real ones.",
      "batchd-sim");
  app.footer("Kinds, that a prompt asks for as \"user\": \"sim:KIND\":\n  " + listed(outcome_names()) + " " +
             listed(poison_names()) + "\nFaults, for --fault and POST /sim/faults:\n  " + listed(fault_names()) +
             "\ntests/sim/README.md tells what they do, and what the control plane and the ledger say.");
  add_network_options(app, settings);
  add_time_options(app, settings);
  add_rule_options(app, settings);
  add_answer_options(app, settings);
  add_oddity_options(app, settings);
  add_identity_options(app, settings);
  go_on = false;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (settings.fast) make_fast(app, settings);
  if (settings.dir.empty()) {
    const char* const temporary = std::getenv("TMPDIR");
    settings.dir = temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
  }
  go_on = true;
  return 0;
}

}  // namespace sim
