#include "cli/command_line.hpp"

#include "cli/commands.hpp"
#include "cli/context.hpp"
#include "cli/run_options.hpp"
#include "config_table.hpp"
#include "db/migrator.hpp"
#include "db/store.hpp"

#include <CLI/CLI.hpp>

#include <functional>
#include <string_view>
#include <vector>

namespace batchd {
namespace {

constexpr const char* everywhere = "\nEvery command also takes --config FILE and --database-url URL.";
constexpr const char* exit_codes =
    "\nExit codes: 0 ok, 1 failure, 2 usage or configuration, 3 unhealthy, 4 the database's schema does not fit,\n"
    "            5 finished with failed requests (run, status --wait).\n"
    "Settings: flags are stronger than the environment (BATCHD_SECTION_KEY), that than the file, that than defaults.";

/// Everything the options are written into, and the command they add up to.
struct Invocation {
  CommonOptions common;
  MigrateOptions migrate;
  CheckConfigOptions check_config;
  SubmitOptions submit;
  StatusOptions status;
  ResultsOptions results;
  OrderOptions order;
  PauseOptions pause;
  BatchesOptions batches;
  TokensOptions tokens;
  DoctorOptions doctor;
  AdoptOptions adopt;
  RunOptions run_options;
  bool version_json = false;
  std::string docs;
  std::function<int()> run;
  bool touches_schema = false;  // its failure may be the schema's
};

CLI::App* command(CLI::App& app, const char* name, const char* what, const std::string& more, Invocation& to,
                  std::function<int()> run, bool touches_schema = false) {
  CLI::App* out = app.add_subcommand(name, what);
  out->footer(more + everywhere);
  out->fallthrough();
  out->callback([&to, run = std::move(run), touches_schema] {
    to.run = run;
    to.touches_schema = touches_schema;
  });
  return out;
}

void add_service(CLI::App& app, Invocation& i) {
  command(app, "serve", "Run the daemon until SIGTERM or SIGINT",
          "Any number of replicas may run on one database. A second signal leaves at once, which is safe too.", i,
          [&i] { return run_serve(i.common); });

  auto* migrate = command(
      app, "migrate", "Bring the database's schema to what this program needs",
      "Safe to run at any time and by several at once. What this user may not do is printed as SQL for an administrator.\n"
      "With --check nothing is changed: exit 0 when the schema fits, 4 when it does not.",
      i, [&i] { return run_migrate(i.common, i.migrate); });
  migrate->add_flag("--check", i.migrate.check, "Only say whether the schema fits");
  migrate->add_flag("--json", i.migrate.json, "Print JSON");

  auto* check = command(app, "check-config", "Read the configuration and report everything that is wrong with it",
                        "Touches no network and no database. Exit 0 when it is fine, 2 when it is not.", i,
                        [&i] { return run_check_config(i.common, i.check_config); });
  check->add_flag("--print-example", i.check_config.print_example, "Print a file with every key, its default and what it means");
  check->add_flag("--json", i.check_config.json, "Print JSON");
}

void add_work(CLI::App& app, Invocation& i) {
  auto* submit = command(
      app, "submit", "Enqueue requests from a JSONL file",
      "Each line is a batch line {\"custom_id\", \"method\", \"url\", \"body\"} or a bare body. custom_id becomes the key: the "
      "same key\n"
      "again in the same job enqueues nothing, so a file may be submitted twice. Bodies are taken byte for byte.\n"
      "A file is checked whole first: when any line is bad, nothing is enqueued. From stdin, what came before a bad line may be.",
      i, [&i] { return run_submit(i.common, i.submit); }, true);
  submit->add_option("FILE", i.submit.file, "The file, or - for stdin")->required();
  submit->add_option("--job", i.submit.job, "The job they belong to")->type_name("NAME")->required();
  submit->add_option("--model", i.submit.model, "The model of bodies that name none")->type_name("NAME");
  submit->add_option("--endpoint", i.submit.endpoint, "The endpoint of lines that name none (default /v1/chat/completions)")
      ->type_name("PATH");
  submit->add_option("--priority", i.submit.priority, "Higher goes first (default 0)")->type_name("NUMBER");
  submit->add_flag("--dry-run", i.submit.dry_run,
                   "Enqueue nothing: print rows, tokens, files, cost and when they would be answered");
  submit->add_flag("--json", i.submit.json, "Print the counts as JSON");

  auto* status = command(
      app, "status", "Show how far jobs are",
      "Without a job: all of them. --wait ends when nothing is unsettled: exit 0 when every request succeeded, 5 when not.", i,
      [&i] { return run_status(i.common, i.status); }, true);
  status->add_option("JOB", i.status.job, "The job");
  status->add_flag("--watch", i.status.watch, "Keep showing until everything is settled");
  status->add_flag("--wait", i.status.wait, "Say nothing until everything is settled");
  status->add_flag("--json", i.status.json, "Print JSON, with --watch one object a change");

  auto* results = command(
      app, "results", "Write a job's results as batch output lines",
      "One line a settled request, in the order they were enqueued: {\"id\", \"custom_id\", \"response\", \"error\"}.\n"
      "custom_id is the key, or the request's id where there is none. With -o the file appears when it is complete.",
      i, [&i] { return run_results(i.common, i.results); }, true);
  results->add_option("JOB", i.results.job, "The job")->required();
  results->add_option("-o,--output", i.results.output, "The file to write instead of stdout")->type_name("FILE");
}

void add_tokens(CLI::App& app, Invocation& i) {
  auto* tokens = command(app, "tokens", "Count the tokens of texts and requests",
                         "Prints a number for each line of a JSONL file: the tokens of its `text`, or of the request that it is "
                         "(a batch line\n"
                         "or a bare body). Needs the vocabularies that deploy/fetch-vocabulary fetches, and nothing else.",
                         i, [&i] { return run_tokens(i.common, i.tokens); });
  tokens->add_option("FILE", i.tokens.file, "The file, or - for stdin")->required();
  tokens->add_option("--encoding", i.tokens.encoding, "o200k_base or cl100k_base, instead of what each request's model goes by")
      ->type_name("NAME");
  tokens->add_flag("--json", i.tokens.json, "Print JSON");
}

void add_orders(CLI::App& app, Invocation& i) {
  constexpr const char* one =
      "\nThe same for one request: by its key (JOB --key KEY) or its id (--request ID). Works whether or not a daemon runs.";
  const auto target = [&i](CLI::App* order) {
    order->add_option("JOB", i.order.job, "The job");
    order->add_option("--key", i.order.key, "Only the request of this key in the job")->type_name("KEY");
    order->add_option("--request", i.order.request, "Only the request of this id, without a job")->type_name("ID");
    order->add_flag("--json", i.order.json, "Print the counts as JSON");
  };
  target(command(
      app, "cancel", "Cancel what is not settled of a job",
      std::string("What waits is settled as cancelled at once. What is in flight is not sent again, and its batch is\n"
                  "cancelled at the provider when nothing else in it is wanted; an answer that is paid for still wins.") +
          one,
      i, [&i] { return run_cancel(i.common, i.order); }, true));
  target(command(
      app, "retry", "Queue again what was settled without success of a job",
      std::string("With all their attempts; the old results go to batchd.result_history. What succeeded stays.") + one, i,
      [&i] { return run_retry(i.common, i.order); }, true));

  auto* pause = command(
      app, "pause", "Submit nothing new in a scope until it is resumed",
      "SCOPE is all (the default), job:NAME or deployment:NAME. Holds on all replicas and over restarts; what is\n"
      "submitted already goes on.",
      i, [&i] { return run_pause(i.common, i.pause); }, true);
  pause->add_option("SCOPE", i.pause.scope, "all, job:NAME or deployment:NAME");
  pause->add_flag("--list", i.pause.list, "Only show what is paused, by request and by batchd itself");
  pause->add_flag("--json", i.pause.json, "Print JSON");
  auto* resume = command(
      app, "resume", "Let submissions of a scope go on",
      "Ends the pause of that very scope: `resume all` leaves a paused job or deployment paused, but ends what\n"
      "batchd paused by itself after a refused key or the like.",
      i, [&i] { return run_resume(i.common, i.pause); }, true);
  resume->add_option("SCOPE", i.pause.scope, "all, job:NAME or deployment:NAME");
  resume->add_flag("--json", i.pause.json, "Print JSON");
}

void add_run(CLI::App& app, Invocation& i) {
  add_run_options(*command(app, "run", "Answer a JSONL file, with a database of its own", run_help, i,
                           [&i] { return run_run(i.common, i.run_options); }),
                  i.run_options);
}

void add_care(CLI::App& app, Invocation& i) {
  auto* batches = command(
      app, "batches", "Show our shards and their batches, or what the providers list",
      "Without --remote: the shards under way, from the database. With it: every batch that the providers list, page by page,\n"
      "ours marked with their shards. --since takes how long ago, such as 24h, or a time in UTC, such as 2026-01-31.",
      i, [&i] { return run_batches(i.common, i.batches); }, true);
  batches->add_option("--deployment", i.batches.deployment, "Only shards of this deployment")->type_name("NAME");
  batches->add_flag("--remote", i.batches.remote, "Ask the providers");
  batches->add_option("--provider", i.batches.provider, "Ask only this one")->type_name("NAME");
  batches->add_option("--status", i.batches.status, "Show only batches of this status")->type_name("STATUS");
  batches->add_option("--since", i.batches.since, "Show only batches made since then")->type_name("TIME");
  batches->add_flag("--json", i.batches.json, "Print JSON");

  auto* doctor = command(app, "doctor", "Examine the installation and say what to do about what is wrong",
                         "Looks at the database, the schema, grants, clocks, daemons, quotas, the queue and every provider; "
                         "changes nothing, and ends\n"
                         "within a minute. Exit 0 when nothing fails, 3 when something does, 4 when the schema does not fit.",
                         i, [&i] { return run_doctor(i.common, i.doctor); });
  doctor->add_flag("--json", i.doctor.json, "Print JSON");

  auto* adopt = command(
      app, "adopt", "Say whose a database is that was restored or cloned elsewhere",
      "Such a database submits nothing until then. Without a flag: it is the same installation, and what was under way goes "
      "on.\n"
      "With --as-new-instance: it is another one than the original, gets a name of its own, gives up what was under way and\n"
      "leaves the original's files and batches alone; refused while daemons of this database are alive.\n"
      "With --resubmit-lost: after a restore, what was answered and paid for since the backup, and which the provider does not\n"
      "have any more, may be sent once more; `doctor` tells what that is.",
      i, [&i] { return run_adopt(i.common, i.adopt); }, true);
  adopt->add_flag("--as-new-instance", i.adopt.as_new_instance, "It is another installation than the original");
  adopt->add_flag("--resubmit-lost", i.adopt.resubmit_lost, "Send again, and pay again for, what a restored database has lost")
      ->excludes("--as-new-instance");
  adopt->add_flag("--yes", i.adopt.yes, "Do not ask");
  adopt->add_flag("--json", i.adopt.json, "Print JSON");
}

void add_about(CLI::App& app, Invocation& i) {
  auto* version = command(app, "version", "Print the version", "", i, [&i] { return run_version(i.version_json); });
  version->add_flag("--json", i.version_json, "Print JSON");

  auto* docs = command(app, "docs", "Print the documentation's tables", "", i, [&i] { return run_docs(i.docs); });
  docs->group("");  // for the tests of README.md
  docs->add_option("WHAT", i.docs, "config or metrics")->required()->check(CLI::IsMember({"config", "metrics"}));
}

/// Whether the schema is why the database refused; its sentence, "" when it is not.
std::string schema_fault(const CommonOptions& common) {
  try {
    Database database(database_settings(common));
    const SchemaReport report = Migrator(database).check();
    return report.ok() ? "" : report.sentence;
  } catch (const std::exception&) {
    return "";  // the first error says more
  }
}

/// What is wrong with the command line, and where help is. The parser itself does not name a command it does not know.
std::string usage_fault(const CLI::App& app, const CLI::ParseError& error, int argc, const char* const* argv) {
  std::vector<std::string> commands;
  for (const CLI::App* sub : app.get_subcommands({})) {
    if (!sub->get_group().empty()) commands.push_back(sub->get_name());
  }
  const std::vector<std::string_view> names(commands.begin(), commands.end());
  for (int i = 1; i < argc && app.get_subcommands().empty(); ++i) {
    const std::string_view word = argv[i];
    if (word == "--config" || word == "--database-url") ++i;  // its value is no command
    if (word.starts_with('-')) continue;
    return "there is no command '" + std::string(word) + "'; the nearest is '" + nearest_of(names, word) + "'. See batchd --help";
  }
  const auto chosen = app.get_subcommands();
  if (chosen.empty()) return "no command given. See batchd --help";
  return std::string(error.what()) + ". See batchd " + chosen.front()->get_name() + " --help";
}

int run(const Invocation& invocation) {
  try {
    return invocation.run();
  } catch (const CommandError& error) {
    say(std::string("batchd: ") + error.what());
    return error.code();
  } catch (const StoreError& error) {
    const std::string schema = invocation.touches_schema ? schema_fault(invocation.common) : "";
    say("batchd: " + (schema.empty() ? std::string(error.what()) : schema));
    return schema.empty() ? exit_failure : exit_schema;
  } catch (const std::exception& error) {
    say(std::string("batchd: ") + error.what());
    return exit_failure;
  }
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  Invocation invocation;
  CLI::App app{"batchd: rows of prompts in, answers beside them, through the batch APIs of Azure OpenAI and OpenAI", "batchd"};
  app.footer(exit_codes);
  app.require_subcommand(1);
  app.add_option("--config", invocation.common.config, "The configuration file (BATCHD_CONFIG)")->type_name("FILE");
  app.add_option("--database-url", invocation.common.database_url,
                 "Where PostgreSQL is (BATCHD_DATABASE_URL); enough for all but serve")
      ->type_name("URL");
  app.set_version_flag("--version", BATCHD_VERSION);
  add_run(app, invocation);
  add_service(app, invocation);
  add_work(app, invocation);
  add_tokens(app, invocation);
  add_orders(app, invocation);
  add_care(app, invocation);
  add_about(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version
    say("batchd: " + usage_fault(app, error, argc, argv));
    return exit_usage;
  }
  return run(invocation);
}

}  // namespace batchd
