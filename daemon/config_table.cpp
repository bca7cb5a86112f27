#include "config_table.hpp"

#include "config_values.hpp"

#include <algorithm>

namespace batchd {
namespace {

// One block a key, read as a table.
// clang-format off
#define FIELD(place) [](Config& c, [[maybe_unused]] std::size_t i) -> ConfigField { return &c.place; }
const std::vector<ConfigKey>& table() {
  static const std::vector<ConfigKey> keys = {
      {.section = "database", .name = "url", .example = "postgresql:///batchd",
       .help = "Where PostgreSQL is: a URL or a `key=value` string as libpq takes it. Required, unless `url_file` is given.",
       .field = FIELD(database.url)},
      {.section = "database", .name = "url_file", .example = "/run/credentials/batchd/database-url",
       .help = "A file that holds the URL, so that its password stands in no configuration file.",
       .field = FIELD(database.url_file)},
      {.section = "database", .name = "pool", .type = ValueType::integer, .fallback = "4", .least = 2, .most = 64,
       .help = "Connections, and threads that use them.",
       .field = FIELD(database.pool)},
      {.section = "database", .name = "statement_timeout", .type = ValueType::duration, .fallback = "30s", .least = 1000,
       .help = "How long one statement may take before it is given up and tried again; planning and COPY get ten times that.",
       .field = FIELD(database.statement_timeout)},
      {.section = "database", .name = "listen_url", .example = "postgresql:///batchd",
       .help = "A direct connection for LISTEN when `url` is a PgBouncer; without it that is `url`.",
       .field = FIELD(database.listen_url)},
      {.section = "database", .name = "migrate_url", .example = "postgresql:///batchd",
       .help = "The connection of `batchd migrate`, as the schema's owner; without it that is `url`.",
       .field = FIELD(database.migrate_url)},

      {.section = "http", .name = "listen", .fallback = "127.0.0.1:9464",
       .help = "Address and port of the status page, metrics and probes; port 0 takes any free one.",
       .field = FIELD(http.listen)},

      {.section = "provider[]", .name = "name", .example = "eastus", .required = true,
       .help = "What you call this account; deployments, logs and metrics name it.",
       .field = FIELD(providers.at(i).name)},
      {.section = "provider[]", .name = "kind", .type = ValueType::choice, .example = "azure", .required = true,
       .choices = {"azure", "azure-v1", "openai"},
       .help = "Which API it speaks: Azure OpenAI with a dated api-version, Azure OpenAI v1, or OpenAI.",
       .field = FIELD(providers.at(i).kind)},
      {.section = "provider[]", .name = "endpoint", .example = "https://my-resource.openai.azure.com",
       .help = "Origin of the API, with or without its base path; `http://` on loopback only. Required, but for `openai`, where it is `https://api.openai.com`.",
       .field = FIELD(providers.at(i).endpoint)},
      {.section = "provider[]", .name = "api_version", .example = "2024-10-21",
       .help = "The api-version sent with every call; required for kind `azure`, and for it only.",
       .field = FIELD(providers.at(i).api_version)},
      {.section = "provider[]", .name = "api_key_file", .example = "/run/credentials/batchd/azure-key",
       .help = "A file that holds the API key. Required, unless `BATCHD_PROVIDER_<NAME>_API_KEY` holds the key itself, or there is `bearer_token_file` or `entra`.",
       .field = FIELD(providers.at(i).api_key_file)},
      {.section = "provider[]", .name = "bearer_token_file", .example = "/run/gateway/token",
       .help = "A file that holds a bearer token, sent as `Authorization: Bearer` instead of an API key, and that somebody else renews: a gateway's, or one that a sidecar fetches. Read again when it changes.",
       .field = FIELD(providers.at(i).bearer_token_file)},
      {.section = "provider[]", .name = "entra", .type = ValueType::choice, .example = "workload-identity",
       .choices = {"client-secret", "managed-identity", "workload-identity"},
       .help = "Microsoft Entra tokens instead of an API key, and how they are obtained; kinds `azure` and `azure-v1` only.",
       .field = FIELD(providers.at(i).entra.method)},
      {.section = "provider[]", .name = "tenant_id", .example = "00000000-1111-2222-3333-444444444444",
       .help = "The Entra tenant; required with `client-secret`, and with `workload-identity` unless `AZURE_TENANT_ID` is set.",
       .field = FIELD(providers.at(i).entra.tenant_id)},
      {.section = "provider[]", .name = "client_id", .example = "00000000-1111-2222-3333-444444444444",
       .help = "The application's id; required as `tenant_id` is (`AZURE_CLIENT_ID`). With `managed-identity`: which user-assigned identity.",
       .field = FIELD(providers.at(i).entra.client_id)},
      {.section = "provider[]", .name = "object_id", .example = "00000000-1111-2222-3333-444444444444",
       .help = "With `managed-identity`: which user-assigned identity, by its object id instead of its client id.",
       .field = FIELD(providers.at(i).entra.object_id)},
      {.section = "provider[]", .name = "msi_res_id", .example = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/batchd",
       .help = "With `managed-identity`: which user-assigned identity, by its Azure resource id.",
       .field = FIELD(providers.at(i).entra.msi_res_id)},
      {.section = "provider[]", .name = "client_secret_file", .example = "/run/credentials/batchd/client-secret",
       .help = "A file that holds the client secret; required with `client-secret`, unless `BATCHD_PROVIDER_<NAME>_CLIENT_SECRET` holds the secret itself.",
       .field = FIELD(providers.at(i).entra.client_secret_file)},
      {.section = "provider[]", .name = "token_file", .example = "/var/run/secrets/azure/tokens/azure-identity-token",
       .help = "With `workload-identity`: the file of the federated token. Without it `AZURE_FEDERATED_TOKEN_FILE`.",
       .field = FIELD(providers.at(i).entra.token_file)},
      {.section = "provider[]", .name = "authority", .example = "https://login.microsoftonline.com",
       .help = "Where logins go. Without it, with `workload-identity` `AZURE_AUTHORITY_HOST`, else `https://login.microsoftonline.com`.",
       .field = FIELD(providers.at(i).entra.authority)},
      {.section = "provider[]", .name = "scope", .example = "https://cognitiveservices.azure.com/.default",
       .help = "What tokens are asked for. Without it `https://cognitiveservices.azure.com/.default`; newer resources may want `https://ai.azure.com/.default`.",
       .field = FIELD(providers.at(i).entra.scope)},
      {.section = "provider[]", .name = "identity_endpoint", .example = "http://127.0.0.1:40342",
       .help = "With `managed-identity`: a local stand-in for the machine's own endpoint, on loopback only.",
       .field = FIELD(providers.at(i).entra.identity_endpoint)},
      {.section = "provider[]", .name = "ca_file", .example = "/etc/ssl/certs/company-ca.pem",
       .help = "Certificates (PEM) to trust besides the system's, for an endpoint or a proxy behind a private authority.",
       .field = FIELD(providers.at(i).ca_file)},
      {.section = "provider[]", .name = "file_expiry", .type = ValueType::duration, .example = "30d", .most = 2'592'000'000,
       .help = "When the provider removes our files by itself, should batchd not have: at Azure 14d to 30d, at OpenAI 1h to 30d; `0s` for never. Without it, 30d where that raises Azure's ceiling on files (`azure-v1`, and api-versions from 2025-03-01-preview) unless `remote_files` is `keep`.",
       .field = FIELD(providers.at(i).file_expiry)},
      {.section = "provider[]", .name = "max_files", .type = ValueType::count, .example = "500", .least = 1,
       .help = "Files the account may hold, others' too: batchd uploads nothing beyond. Without it 500 at Azure, 10,000 where files expire, no limit at OpenAI.",
       .field = FIELD(providers.at(i).max_files)},
      {.section = "provider[]", .name = "client_cert_file", .example = "/etc/batchd/client.pem",
       .help = "A certificate (PEM, its chain behind it) to show to an endpoint that asks for one; `client_key_file` beside it.",
       .field = FIELD(providers.at(i).client_cert_file)},
      {.section = "provider[]", .name = "client_key_file", .example = "/run/credentials/batchd/client-key.pem",
       .help = "Its private key (PEM, without a passphrase).",
       .field = FIELD(providers.at(i).client_key_file)},
      {.section = "provider[]", .name = "proxy", .example = "http://proxy.example:3128",
       .help = "The proxy (CONNECT, `http://` or `https://`) to the endpoint and to `authority`; `none` connects straight. Without it `HTTPS_PROXY`, else `ALL_PROXY`, but for what `NO_PROXY` names. This machine and its identity endpoint are never reached through one.",
       .field = FIELD(providers.at(i).proxy)},
      {.section = "provider[]", .name = "proxy_credentials_file", .example = "/run/credentials/batchd/proxy",
       .help = "A file that holds `user:password` for the proxy, so that they need not stand in its URL; read at each connection.",
       .field = FIELD(providers.at(i).proxy_credentials_file)},
      {.section = "provider[]", .name = "organization", .example = "org-123",
       .help = "Sent as `OpenAI-Organization`; kind `openai` only.",
       .field = FIELD(providers.at(i).organization)},
      {.section = "provider[]", .name = "project", .example = "proj_123",
       .help = "Sent as `OpenAI-Project`; kind `openai` only.",
       .field = FIELD(providers.at(i).project)},

      {.section = "deployment[]", .name = "name", .example = "gpt-4o-mini-batch", .required = true,
       .help = "The deployment's name at Azure; at OpenAI the model's name or any name of yours.",
       .field = FIELD(deployments.at(i).name)},
      {.section = "deployment[]", .name = "provider", .example = "eastus", .required = true,
       .help = "The `name` of the provider that has it.",
       .field = FIELD(deployments.at(i).provider)},
      {.section = "deployment[]", .name = "model", .example = "gpt-4o-mini", .required = true,
       .help = "What producers ask for in `batchd.request.model` to be served by it.",
       .field = FIELD(deployments.at(i).model)},
      {.section = "deployment[]", .name = "enqueued_token_limit", .type = ValueType::count, .example = "1B", .required = true, .least = 1,
       .help = "Its enqueued-token quota at the provider: batchd never enqueues more than that.",
       .field = FIELD(deployments.at(i).enqueued_token_limit)},
      {.section = "deployment[]", .name = "dynamic_token_limit", .type = ValueType::count, .example = "1500M", .least = 1,
       .help = "Where Azure's dynamic quota is on: batchd tries to enqueue up to this much, and takes refusals for it. Unset: never more than "
               "`enqueued_token_limit`.",
       .field = FIELD(deployments.at(i).dynamic_token_limit)},

      {.section = "planner", .name = "linger", .type = ValueType::duration, .fallback = "30s",
       .help = "How long a file may wait to fill up; `0s` sends at once what is there.",
       .field = FIELD(planner.linger)},
      {.section = "planner", .name = "max_requests", .type = ValueType::count, .fallback = "100K", .least = 1, .most = 100'000,
       .help = "Most requests in one file; never more than the provider takes (100,000 at Azure, 50,000 at OpenAI).",
       .field = FIELD(planner.max_requests)},
      {.section = "planner", .name = "max_bytes", .type = ValueType::size, .fallback = "200MB", .least = 1'000, .most = 200'000'000,
       .help = "Largest file; a request that does not fit in one of its own is settled as failed.",
       .field = FIELD(planner.max_bytes)},
      {.section = "planner", .name = "unroutable_after", .type = ValueType::duration, .fallback = "24h",
       .help = "How long a request waits for a deployment that takes its model and endpoint before it is settled as failed.",
       .field = FIELD(planner.unroutable_after)},

      {.section = "poll", .name = "interval", .type = ValueType::duration, .fallback = "60s", .least = 1,
       .help = "How often each provider is asked about its batches; the providers advise 60 s or more.",
       .field = FIELD(poll.interval)},
      {.section = "poll", .name = "file_interval", .type = ValueType::duration, .fallback = "1s", .least = 1,
       .help = "How often an uploaded file that is not ready yet is asked about.",
       .field = FIELD(poll.file_interval)},

      {.section = "retry", .name = "max_attempts", .type = ValueType::integer, .fallback = "5", .least = 1, .most = 1'000,
       .help = "Batches a request may run in without a final answer before it is settled.",
       .field = FIELD(retry.max_attempts)},
      {.section = "retry", .name = "base_delay", .type = ValueType::duration, .fallback = "10s", .least = 1,
       .help = "First wait after a failure; it doubles with each one more.",
       .field = FIELD(retry.base_delay)},
      {.section = "retry", .name = "max_delay", .type = ValueType::duration, .fallback = "1h", .least = 1,
       .help = "Longest wait after a failure.",
       .field = FIELD(retry.max_delay)},
      {.section = "retry", .name = "settle_window", .type = ValueType::duration, .fallback = "2m", .least = 1,
       .help = "How long a submission without an answer is looked for at the provider before it counts as not made.",
       .field = FIELD(retry.settle_window)},
      {.section = "retry", .name = "on_unknown", .type = ValueType::choice, .fallback = "fence", .choices = {"fence", "hold"},
       .help = "What follows then: `fence` deletes the input file and submits afresh, `hold` waits for a person.",
       .field = FIELD(retry.on_unknown)},

      {.section = "lease", .name = "ttl", .type = ValueType::duration, .fallback = "10s", .least = 500,
       .help = "How long a replica may be silent before others take over its work; the same on all replicas.",
       .field = FIELD(lease.ttl)},

      {.section = "limits", .name = "memory", .type = ValueType::size, .fallback = "32MiB", .least = 1'048'576,
       .help = "Memory for answers under way to the database, in chunks.",
       .field = FIELD(limits.memory)},
      {.section = "limits", .name = "disk", .type = ValueType::size, .fallback = "2GiB", .least = 1'000'000,
       .help = "Scratch disk for files on their way; what does not fit waits.",
       .field = FIELD(limits.disk)},
      {.section = "limits", .name = "state_dir", .example = "/var/lib/batchd",
       .help = "The scratch directory; its contents can be lost at any time. Without it: systemd's `STATE_DIRECTORY`, else `/var/lib/batchd` for root, else `~/.local/state/batchd`.",
       .field = FIELD(limits.state_dir)},

      {.section = "retention", .name = "settled", .type = ValueType::duration, .fallback = "30d", .least = 1,
       .help = "How long settled requests, their results and their keys are kept.",
       .field = FIELD(retention.settled)},
      {.section = "retention", .name = "remote_files", .type = ValueType::choice, .fallback = "delete", .choices = {"delete", "keep"},
       .help = "What becomes of a shard's files at the provider once its answers are stored.",
       .field = FIELD(retention.remote_files)},
      {.section = "retention", .name = "remote_delay", .type = ValueType::duration, .fallback = "0s",
       .help = "How long they are kept before they are deleted.",
       .field = FIELD(retention.remote_delay)},

      {.section = "tokens", .name = "vocabulary_dir", .example = "/usr/local/share/batchd/vocabulary",
       .help = "The folder of the tokenizers' vocabularies (`deploy/fetch-vocabulary` fills one); `none` to estimate tokens without. Without it `share/batchd/vocabulary` where batchd is installed, else `vocabulary` beside the program.",
       .field = FIELD(tokens.vocabulary_dir)},

      {.section = "log", .name = "level", .type = ValueType::choice, .fallback = "info", .choices = {"debug", "info", "warn", "error"},
       .help = "The least important lines to write.",
       .field = FIELD(log.level)},
      {.section = "log", .name = "format", .type = ValueType::choice, .fallback = "auto", .choices = {"auto", "json", "text"},
       .help = "`auto` is text on a terminal and JSON elsewhere.",
       .field = FIELD(log.format)},

      {.section = prices_section, .name = "input", .type = ValueType::price, .example = "0.075", .most = 1'000'000'000'000,
       .help = "US dollars per million input tokens of this model, at the batch rate. Required in each `[prices.\"MODEL\"]`, named as producers name it.",
       .field = FIELD(prices.at(i).input)},
      {.section = prices_section, .name = "cached_input", .type = ValueType::price, .example = "0.0375", .most = 1'000'000'000'000,
       .help = "The same for input tokens that the provider served from its cache. Without it, as `input`.",
       .field = FIELD(prices.at(i).cached_input)},
      {.section = prices_section, .name = "output", .type = ValueType::price, .example = "0.30", .most = 1'000'000'000'000,
       .help = "The same for output tokens; required too, 0 for embeddings.",
       .field = FIELD(prices.at(i).output)},
      {.section = prices_section, .name = "max_output", .type = ValueType::count, .example = "16384", .least = 1, .most = 1'000'000'000,
       .help = "The most output tokens that an answer of the model can have, for `budget.strict`. Without it `budget.max_output`.",
       .field = FIELD(prices.at(i).max_output)},

      {.section = "budget", .name = "daily", .type = ValueType::money, .example = "100",
       .help = "The most US dollars that all jobs and replicas together may spend on submissions of one UTC day. What a file may cost is set aside before it is submitted and settled when its answers are stored. Needs a price for every model that is served.",
       .field = FIELD(budget.daily)},
      {.section = "budget", .name = "per_job", .type = ValueType::money, .example = "25",
       .help = "The most US dollars that each job may spend, ever.",
       .field = FIELD(budget.per_job)},
      {.section = "budget", .name = "strict", .type = ValueType::boolean, .fallback = "false",
       .help = "Set aside what an answer can have at most (its `max_tokens`, else the model's maximum) rather than what answers usually have: a cap is then never passed, and filled less.",
       .field = FIELD(budget.strict)},
      {.section = "budget", .name = "assumed_output", .type = ValueType::count, .fallback = "2K", .least = 1, .most = 1'000'000'000,
       .help = "Output tokens to set aside for a request before 100 answers of its model are known; after that, what 99 of 100 answers stay below. Never more than the request's own limit.",
       .field = FIELD(budget.assumed_output)},
      {.section = "budget", .name = "max_output", .type = ValueType::count, .fallback = "128K", .least = 1, .most = 1'000'000'000,
       .help = "With `strict`: output tokens to set aside for a request without a limit of its own, where its model has no `max_output`.",
       .field = FIELD(budget.max_output)},
  };
  return keys;
}
#undef FIELD
// clang-format on

}  // namespace

std::span<const ConfigKey> config_keys() {
  return table();
}

std::string nearest_of(const std::vector<std::string_view>& names, std::string_view wanted) {
  const auto nearest = std::min_element(names.begin(), names.end(),
                                        [&](auto a, auto b) { return edit_distance(a, wanted) < edit_distance(b, wanted); });
  return nearest == names.end() ? "" : std::string(*nearest);
}

std::string nearest_config_key(std::string_view section, std::string_view name) {
  std::string best;
  std::size_t best_cost = SIZE_MAX;
  const std::string whole = std::string(section) + "." + std::string(name);
  for (const ConfigKey& key : config_keys()) {
    const std::size_t elsewhere = key.section == section ? 0 : 2;
    const std::size_t cost = std::min(edit_distance(key.path(), whole), edit_distance(key.name, name) + elsewhere);
    if (cost < best_cost) {
      best_cost = cost;
      best = key.path();
    }
  }
  return best;
}

std::vector<std::string_view> config_sections() {
  std::vector<std::string_view> out;
  for (const ConfigKey& key : config_keys()) {
    if (out.empty() || out.back() != key.section) out.push_back(key.section);
  }
  return out;
}

const ConfigKey* find_config_key(std::string_view section, std::string_view name) {
  for (const ConfigKey& key : config_keys()) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

}  // namespace batchd
