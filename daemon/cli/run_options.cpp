#include "cli/run_options.hpp"

#include <CLI/CLI.hpp>

namespace batchd {

const char* const run_help =
    "For a file and a key; nothing else has to be there but PostgreSQL's server programs, of which run starts one of its own,\n"
    "on a unix socket in the state directory.\n"
    "\n"
    "    OPENAI_API_KEY=... batchd run prompts.jsonl -o answers.jsonl\n"
    "    AZURE_OPENAI_API_KEY=... batchd run prompts.jsonl -o answers.jsonl --endpoint https://NAME.openai.azure.com\n"
    "\n"
    "Lines are batch lines {\"custom_id\", \"method\", \"url\", \"body\"} or bare bodies; each names its model, and several "
    "models\n"
    "and urls may stand in one file. The whole file is checked first: when any line is bad, nothing is sent. OUT gets a line\n"
    "{\"id\", \"custom_id\", \"response\", \"error\"} for each, in the file's order, when all are settled; for a bare body the\n"
    "custom_id is line-N, N being the line's number.\n"
    "\n"
    "Stop it with Ctrl-C, kill it, switch the machine off: what is at the provider goes on there, and the same command goes on\n"
    "from here and pays for nothing twice. When all is settled, the same command only writes OUT again. A file is known by its\n"
    "path (or --job NAME), a line in it by its custom_id and its contents (without a custom_id, by its contents): in a file "
    "that\n"
    "has changed, the lines that are new or changed are asked, the others keep their answers, and what is gone is cancelled.\n"
    "Another --job name or --state-dir asks everything anew. Answers stay in the state directory until you remove it.\n"
    "\n"
    "The provider: flags, else --config FILE (or BATCHD_CONFIG; its [database] is not used, nor is any other file read), else\n"
    "OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID, OPENAI_PROJECT_ID, or AZURE_OPENAI_API_KEY, AZURE_OPENAI_ENDPOINT,\n"
    "OPENAI_API_VERSION. Unless the file has [[deployment]] sections, there is one for each model. Other settings are those of\n"
    "serve, as BATCHD_POLL_INTERVAL=30s. Exit 0 when every request succeeded, 5 when not, 1 when stopped before the end.";

void add_run_options(CLI::App& command, RunOptions& to) {
  command.add_option("FILE", to.file, "The requests, JSONL; - for stdin (with --job)")->required();
  command.add_option("-o,--output", to.output, "Where the results go, - for stdout")->type_name("OUT")->required();
  command.add_option("--model", to.model, "The model of bodies that name none")->type_name("NAME");
  command.add_option("--url", to.url, "The url of lines that name none (default /v1/chat/completions)")->type_name("PATH");
  command.add_option("--job", to.job, "What the file is known by, instead of its path")->type_name("NAME");
  command.add_flag("--retry-failed", to.retry_failed, "Ask again for what failed before");
  command.add_option("--kind", to.kind, "openai, azure (dated api-version) or azure-v1")
      ->check(CLI::IsMember({"openai", "azure", "azure-v1"}));
  command.add_option("--endpoint", to.endpoint, "The provider's URL")->type_name("URL");
  command.add_option("--api-version", to.api_version, "Azure's, of kind azure (default 2024-10-21)")->type_name("DATE");
  command.add_option("--api-key-file", to.api_key_file, "A file that holds the key")->type_name("FILE");
  command
      .add_option("--deployment", to.deployments,
                  "Azure's name of the model's deployment; MODEL=NAME for each of several (default: as the model)")
      ->type_name("NAME");
  command
      .add_option("--enqueued-token-limit", to.token_limit,
                  "What each deployment may hold, as 200M (default 2M at OpenAI, 50M at Azure)")
      ->type_name("COUNT");
  command
      .add_option("--state-dir", to.state_dir,
                  "Where the queue and the answers are kept (default /var/lib/batchd for root, else ~/.local/state/batchd)")
      ->type_name("DIR");
  command.add_option("--http", to.http, "Also serve the status page and metrics there (default: a free port on loopback)")
      ->type_name("ADDRESS");
  command.add_option("--postgres-bin", to.postgres_bin, "Where PostgreSQL's server programs are (BATCHD_POSTGRES_BIN)")
      ->type_name("DIR");
  command.add_flag("--json", to.json, "Print the summary as JSON on stdout");
}

}  // namespace batchd
