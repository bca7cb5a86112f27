#include "db/run_book.hpp"

#include "db/absent.hpp"
#include "db/bulk.hpp"
#include "db/transaction.hpp"

#include <algorithm>
#include <charconv>
#include <memory>

namespace batchd {
namespace {

constexpr Milliseconds unlimited{0};  // for statements whose time depends on the size of the file
constexpr int most_groups = 10;
constexpr int most_duplicates = 20;

constexpr char make_schema[] = R"(
  CREATE SCHEMA IF NOT EXISTS batchd_run;
  CREATE TABLE IF NOT EXISTS batchd_run.line (
    job        text COLLATE "C" NOT NULL,
    number     bigint NOT NULL,
    custom_id  text COLLATE "C",
    request_id bigint NOT NULL,
    PRIMARY KEY (job, number)
  ))";

// Terms of processes that are gone: what they held is free at once, instead of after their lease.
constexpr char forget_replicas[] = "DELETE FROM batchd.replica";

constexpr char create_input[] =
    "CREATE TEMP TABLE batchd_input (number bigint, custom_id text COLLATE \"C\", model text COLLATE \"C\", endpoint text "
    "COLLATE "
    "\"C\", body json) ON COMMIT DROP";
constexpr char copy_input[] = "COPY pg_temp.batchd_input FROM STDIN (FORMAT binary)";

constexpr char find_duplicates[] = R"(
  SELECT number, first, custom_id, count(*) OVER () FROM (
    SELECT number, custom_id, min(number) OVER (PARTITION BY custom_id) AS first FROM pg_temp.batchd_input WHERE custom_id IS NOT NULL
  ) numbered WHERE number <> first ORDER BY number LIMIT $1::int)";

constexpr char find_models[] =
    "SELECT model, endpoint, count(*), min(number) FROM pg_temp.batchd_input GROUP BY model, endpoint "
    "ORDER BY min(min(number)) OVER (PARTITION BY model), min(number)";

// A line's name among all lines ever given under this job.
constexpr char create_named[] = R"(
  CREATE TEMP TABLE batchd_named ON COMMIT DROP AS
  SELECT number, custom_id,
         encode(sha256(content || convert_to(CASE WHEN custom_id IS NOT NULL THEN '=' || custom_id
                                             ELSE '#' || row_number() OVER (PARTITION BY custom_id IS NULL, content ORDER BY number) END,
                                             'UTF8')), 'hex') COLLATE "C" AS key
  FROM (SELECT number, custom_id, sha256(convert_to(concat_ws(E'\n', endpoint, model, body::text), 'UTF8')) AS content
        FROM pg_temp.batchd_input) hashed)";

constexpr char insert_missing[] = R"(
  INSERT INTO batchd.request (model, endpoint, job, key, body)
  SELECT i.model, i.endpoint, $1, n.key, i.body
  FROM pg_temp.batchd_named n JOIN pg_temp.batchd_input i USING (number)
  WHERE NOT EXISTS (SELECT FROM batchd.request_key k WHERE k.job = $1 AND k.key = n.key)
  ORDER BY number)";

constexpr char forget_lines[] = "DELETE FROM batchd_run.line WHERE job = $1";
constexpr char insert_lines[] = R"(
  INSERT INTO batchd_run.line (job, number, custom_id, request_id)
  SELECT $1, n.number, n.custom_id, k.request_id
  FROM pg_temp.batchd_named n JOIN batchd.request_key k ON k.job = $1 AND k.key = n.key)";

constexpr char drop_unwanted[] = R"(
  SELECT count(*) FILTER (WHERE batchd.cancel_request(r.id)) FROM batchd.request r
  WHERE r.job = $1 AND NOT EXISTS (SELECT FROM batchd_run.line l WHERE l.job = $1 AND l.request_id = r.id)
    AND NOT EXISTS (SELECT FROM batchd.answer a WHERE a.request_id = r.id)
    AND NOT EXISTS (SELECT FROM batchd.cancel_wish w WHERE w.request_id = r.id))";

// Wanted again after having been dropped; and, when asked for, whatever else was settled without an answer.
constexpr char want_again[] = R"(
  WITH wanted AS (DELETE FROM batchd.cancel_wish w USING batchd_run.line l WHERE l.job = $1 AND l.request_id = w.request_id)
  SELECT count(*) FILTER (WHERE batchd.retry_request(a.request_id))
  FROM batchd_run.line l JOIN batchd.answer a ON a.request_id = l.request_id
  WHERE l.job = $1 AND (a.outcome = 'cancelled' OR ($2::boolean AND a.outcome IN ('failed', 'expired'))))";

constexpr char count_settled[] =
    "SELECT count(*) FROM batchd_run.line l JOIN batchd.answer a ON a.request_id = l.request_id WHERE l.job = $1";

constexpr char pause_others[] = R"(
  INSERT INTO batchd.pause (scope) SELECT 'job:' || p.job FROM batchd.job_progress p
  WHERE p.job <> $1 AND p.queued > 0 ON CONFLICT DO NOTHING)";
constexpr char go_on[] = "DELETE FROM batchd.pause WHERE scope = 'job:' || $1";

// Given up as the daemon does it (core/shard.hpp): finished without an answer, which costs no request an attempt.
constexpr char give_up_misfits[] = R"(
  UPDATE batchd.shard s SET state = 'finished', finish_reason = 'given_up', failures = 0, owner = NULL, due_at = clock_timestamp(),
         state_at = clock_timestamp(), finished_at = clock_timestamp()
  WHERE s.state IN ('planned', 'uploaded') AND s.intent_at IS NULL
    AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::bigint[]) AS d (name, most) WHERE d.name = s.deployment AND s.tokens <= d.most))";

constexpr char read_progress[] = R"(
  SELECT coalesce(p.accepted, 0), coalesce(p.queued, 0), coalesce(p.in_flight, 0), coalesce(p.succeeded, 0),
         coalesce(p.failed + p.expired, 0), coalesce(p.cancelled, 0), coalesce(p.input_tokens, 0), coalesce(p.output_tokens, 0),
         (SELECT count(*) FROM batchd.shard s WHERE s.state IN ('finished', 'merged')),
         (SELECT coalesce(sum(s.requests), 0) FROM batchd.shard s WHERE s.state IN ('submitted', 'finished')),
         (SELECT string_agg(d.name || ' (' || coalesce(d.pause_reason, 'asked') || ')', ', ') FROM batchd.deployment d
          WHERE d.configured AND d.paused_until > clock_timestamp()),
         (SELECT s.error FROM batchd.shard s WHERE s.state <> 'closed' AND s.failures > 0 AND s.error IS NOT NULL
          ORDER BY s.id LIMIT 1)
  FROM (SELECT) one LEFT JOIN batchd.job_progress p ON p.job = $1)";

constexpr char read_totals[] = R"(
  SELECT count(*), count(*) FILTER (WHERE a.outcome = 'succeeded'), coalesce(sum(a.input_tokens), 0), coalesce(sum(a.output_tokens), 0)
  FROM batchd_run.line l JOIN batchd.answer a ON a.request_id = l.request_id WHERE l.job = $1)";

// PostgreSQL does not read the escape of U+0000, which a provider's message may hold; as a blank it does no harm.
constexpr char read_failures[] = R"(
  SELECT outcome, code, message, count(*), min(number), (array_agg(custom_id ORDER BY number))[1], count(*) OVER ()
  FROM (SELECT l.number, l.custom_id, a.outcome, coalesce(e.error->>'code', '') AS code, left(coalesce(e.error->>'message', ''), 300) AS message
        FROM batchd_run.line l JOIN batchd.answer a ON a.request_id = l.request_id
        CROSS JOIN LATERAL (SELECT replace(coalesce(a.error, '{}'), '\u0000', '\u0020')::json AS error) e
        WHERE l.job = $1 AND a.outcome <> 'succeeded') failed
  GROUP BY outcome, code, message ORDER BY count(*) DESC, min(number) LIMIT $2::int)";

std::int64_t number(const Rows& rows, int row, int column) {
  const std::string_view text = rows.at(row, column);
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

std::string text(const Rows& rows, int row, int column) {
  return std::string(rows.at(row, column));
}

std::int64_t copy_in(BulkTransaction& tx, const RunBook::Lines& lines) {
  tx.run(create_input);
  tx.begin_copy_in(copy_input);
  CopyRows rows;
  std::int64_t count = 0;
  for (InputLine line; lines(line); ++count) {
    rows.row(5);
    rows.int8(line.number);
    line.request.key ? rows.text(*line.request.key) : rows.null();
    rows.text(line.request.model);
    rows.text(line.request.endpoint.empty() ? "/v1/chat/completions" : line.request.endpoint);
    rows.text(line.request.body);
    if (rows.bytes().size() >= flush_bytes) {
      tx.put(rows.bytes());
      rows.clear();
    }
  }
  rows.end();
  tx.put(rows.bytes());
  tx.end_copy_in();
  return count;
}

void judge(BulkTransaction& tx, const RunBook::Check& check) {
  std::vector<Duplicate> duplicates;
  const Rows twice = tx.run(find_duplicates, {std::to_string(most_duplicates)});
  for (int i = 0; i < twice.size(); ++i) duplicates.push_back({number(twice, i, 0), number(twice, i, 1), text(twice, i, 2)});
  std::vector<ModelUse> models;
  const Rows used = tx.run(find_models);
  for (int i = 0; i < used.size(); ++i) {
    if (models.empty() || models.back().model != text(used, i, 0)) models.push_back({text(used, i, 0), 0, number(used, i, 3)});
    models.back().endpoints.push_back({text(used, i, 1), number(used, i, 3)});
    models.back().requests += number(used, i, 2);
  }
  check(duplicates, twice.size() > 0 ? number(twice, 0, 3) : 0, models);
}

/// A job's name as a literal, for COPY, which takes no parameters.
std::string literal(BulkTransaction& tx, const std::string& job) {
  const std::unique_ptr<char, decltype(&PQfreemem)> quoted(PQescapeLiteral(tx.raw(), job.data(), job.size()), &PQfreemem);
  if (!quoted) throw StoreError("the job's name is not valid UTF-8");
  return quoted.get();
}

}  // namespace

std::string line_name(std::int64_t number) {
  return "line-" + std::to_string(number);
}

void RunBook::open() {
  transact(database_, [](Transaction& tx) {
    tx.script(make_schema);
    tx.script(forget_replicas);
  });
}

IntakeCounts RunBook::take_in(const IntakeOptions& options, const Lines& lines, const Check& check) {
  BulkTransaction tx(database_, unlimited);
  IntakeCounts counts;
  counts.lines = copy_in(tx, lines);
  judge(tx, check);
  tx.run(create_named);
  tx.run("ANALYZE pg_temp.batchd_input");
  tx.run("ANALYZE pg_temp.batchd_named");
  counts.fresh = tx.run(insert_missing, {options.job}).affected();
  tx.run(forget_lines, {options.job});
  if (tx.run(insert_lines, {options.job}).affected() != counts.lines) throw StoreError("database: a line has no request");
  tx.run("ANALYZE batchd_run.line");
  counts.dropped = number(tx.run(drop_unwanted, {options.job}), 0, 0);
  counts.again = number(tx.run(want_again, {options.job, options.retry_failed ? "true" : "false"}), 0, 0);
  counts.settled = number(tx.run(count_settled, {options.job}), 0, 0);
  tx.run(pause_others, {options.job});
  tx.run(go_on, {options.job});
  tx.commit();
  return counts;
}

void RunBook::unpack_misfits(const std::vector<DeploymentSettings>& deployments) {
  transact(database_, [&](Transaction& tx) {
    tx.run(give_up_misfits, text_array_of(deployments, [](const DeploymentSettings& d) -> const std::string& { return d.name; }),
           array_of(deployments, [](const DeploymentSettings& d) { return d.enqueued_token_limit; }));
  });
}

RunProgress RunBook::progress(const std::string& job, std::int64_t lines) {
  BulkTransaction tx(database_, database_.settings().statement_timeout);
  const Rows rows = tx.run(read_progress, {job});
  RunProgress out;
  const std::int64_t accepted = number(rows, 0, 0);
  out.queued = number(rows, 0, 1);
  out.in_flight = number(rows, 0, 2);
  out.succeeded = number(rows, 0, 3);
  out.failed = number(rows, 0, 4);
  const std::int64_t cancelled = number(rows, 0, 5);
  out.input_tokens = number(rows, 0, 6);
  out.output_tokens = number(rows, 0, 7);
  out.lines = lines;
  out.untidy = number(rows, 0, 8);
  out.at_provider = std::min(out.in_flight, number(rows, 0, 9));
  out.paused = text(rows, 0, 10);
  out.trouble = text(rows, 0, 11);
  // Requests of lines that are no longer in the file count in the job, and not for whoever waits for the file.
  const std::int64_t outdated = std::max<std::int64_t>(0, accepted - out.lines);
  out.settled = std::clamp<std::int64_t>(out.succeeded + out.failed + cancelled - outdated, 0, out.lines);
  tx.commit();
  return out;
}

RunTotals RunBook::totals(const std::string& job) {
  BulkTransaction tx(database_, unlimited);
  RunTotals totals;
  const Rows rows = tx.run(read_totals, {job});
  totals.lines = number(rows, 0, 0);
  totals.succeeded = number(rows, 0, 1);
  totals.failed = totals.lines - totals.succeeded;
  totals.input_tokens = number(rows, 0, 2);
  totals.output_tokens = number(rows, 0, 3);
  const Rows groups = tx.run(read_failures, {job, std::to_string(most_groups)});
  for (int i = 0; i < groups.size(); ++i) {
    FailureGroup group{text(groups, i, 0),   text(groups, i, 1), text(groups, i, 2),
                       number(groups, i, 3), text(groups, i, 5), number(groups, i, 4)};
    if (groups.null(i, 5)) group.custom_id = line_name(group.line);
    totals.failures.push_back(std::move(group));
    totals.more_groups = number(groups, i, 6) - static_cast<std::int64_t>(totals.failures.size());
  }
  tx.commit();
  return totals;
}

void RunBook::results(const std::string& job, const ResultSink& sink) {
  BulkTransaction tx(database_, unlimited);
  // The lines come in order out of their index, and each finds its result by another: nothing is sorted or gathered first.
  tx.run(
      "SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),"
      " set_config('enable_sort', 'off', true)");
  CopyOut rows(
      tx,
      "COPY (SELECT r.request_id, l.custom_id, l.number, r.status_code, r.response, r.error, r.provider_request_id, r.outcome"
      " FROM batchd_run.line l JOIN batchd.result r ON r.request_id = l.request_id WHERE l.job = " +
          literal(tx, job) + " ORDER BY l.number) TO STDOUT (FORMAT binary)");
  while (const CopyRow* row = rows.next()) {
    ResultRow result;
    result.request = RequestId{row->int8(0)};
    result.key = row->null(1) ? line_name(row->int8(2)) : std::string(row->text(1));
    if (!row->null(3)) result.status_code = row->int4(3);
    result.response = maybe_text(*row, 4);
    result.error = maybe_text(*row, 5);
    result.provider_request_id = maybe_text(*row, 6);
    result.outcome = row->text(7) == "succeeded" ? Outcome::succeeded : Outcome::failed;
    if (!sink(result)) return;
  }
  tx.commit();
}

}  // namespace batchd
