// What can be seen of a PostgreSQL database, and whether it adds up.
#include "conformance/pg_store_harness.hpp"

namespace batchd::conformance {
namespace {

using Row = std::vector<std::string>;

std::int64_t number(const std::string& text) {
  return text.empty() ? 0 : std::stoll(text);
}
bool is_true(const std::string& text) {
  return text == "t";
}
template <class T>
std::optional<T> id_of(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(T{std::stoll(text)});
}

RequestRow to_request(const Row& row) {
  RequestRow r;
  r.id = RequestId{number(row[0])};
  r.state = row[1];
  r.attempts = static_cast<int>(number(row[2]));
  r.shard = id_of<ShardId>(row[3]);
  if (!row[4].empty()) r.batch = BatchId{row[4]};
  r.last_error = row[5];
  return r;
}

ResultRow to_result(const Row& row) {
  ResultRow r;
  r.request = RequestId{number(row[0])};
  r.outcome = row[1];
  if (!row[2].empty()) r.status_code = static_cast<int>(number(row[2]));
  r.response = row[3];
  r.error = row[4];
  if (!row[5].empty()) r.input_tokens = number(row[5]);
  if (!row[6].empty()) r.output_tokens = number(row[6]);
  r.provider_request_id = row[7];
  r.shard = id_of<ShardId>(row[8]);
  r.attempt = static_cast<int>(number(row[9]));
  return r;
}

constexpr char select_shards[] = R"(
  SELECT s.id, s.state, s.deployment, s.provider, s.model, s.endpoint, s.priority, s.attempt, s.requests,
         CASE WHEN s.state IN ('merged', 'closed') THEN 0 ELSE s.requests - coalesce((SELECT bit_count(p.decided) FROM
           batchd.shard_progress p WHERE p.shard_id = s.id), 0) END,
         s.bytes, s.tokens, s.reserved, s.intent_at IS NOT NULL, s.looks, s.input_file, s.batch_id, s.batch_status, s.output_file,
         s.error_file, s.finish_reason, s.error, s.failures, s.denials, s.short_reads, s.due_at <= clock_timestamp(), r.term, s.accepted_at IS NOT NULL,
         s.wished_at IS NOT NULL, s.suspect_since IS NOT NULL, s.trial
  FROM batchd.shard s LEFT JOIN batchd.replica r ON r.term = s.owner ORDER BY s.id)";

ShardRow to_shard(const Row& row) {
  ShardRow s;
  std::size_t at = 0;
  const auto next = [&]() -> const std::string& { return row.at(at++); };
  s.id = ShardId{number(next())};
  for (std::string* text : {&s.state, &s.deployment, &s.provider, &s.model, &s.endpoint}) *text = next();
  for (int* value : {&s.priority, &s.attempt}) *value = static_cast<int>(number(next()));
  for (std::int64_t* value : {&s.requests, &s.undecided, &s.bytes, &s.tokens, &s.reserved}) *value = number(next());
  s.intent = is_true(next());
  s.looks = static_cast<int>(number(next()));
  for (std::string* text :
       {&s.input_file, &s.batch, &s.batch_status, &s.output_file, &s.error_file, &s.finish_reason, &s.error}) {
    *text = next();
  }
  for (int* value : {&s.failures, &s.denials, &s.short_reads}) *value = static_cast<int>(number(next()));
  s.due = is_true(next());
  s.owner = id_of<Term>(next());
  for (bool* flag : {&s.accepted, &s.wished, &s.halved}) *flag = is_true(next());
  s.trial = id_of<ShardId>(next());
  return s;
}

constexpr char select_results[] =
    "SELECT request_id, outcome, status_code, response, error, input_tokens, output_tokens, provider_request_id, shard_id, "
    "attempt "
    "FROM batchd.";

/// One line a disagreement.
constexpr char violations[] = R"(
  SELECT string_agg(line, E'\n') FROM (
    SELECT format('request %s is in %s places', id, places) AS line FROM (
      SELECT r.id, (SELECT count(*) FROM batchd.queue q WHERE q.id = r.id) + (SELECT count(*) FROM batchd.retry y WHERE y.request_id = r.id)
        + (SELECT count(*) FROM batchd.answer a WHERE a.request_id = r.id)
        + (SELECT count(*) FROM (SELECT m.shard_id, m.ordinal, g.id, (coalesce((SELECT sum(o.requests) FROM batchd.shard_member o
                    WHERE o.shard_id = m.shard_id AND o.ordinal < m.ordinal), 0) + g.n - 1)::bigint AS rank
             FROM batchd.shard_member m CROSS JOIN LATERAL (SELECT i AS id, row_number() OVER (ORDER BY i) AS n
               FROM unnest(m.members) AS u (ids) CROSS JOIN LATERAL generate_series(lower(u.ids), upper(u.ids) - 1) AS i) g) k
           LEFT JOIN batchd.shard_progress p ON p.shard_id = k.shard_id
           WHERE k.id = r.id AND coalesce(get_bit(p.decided, k.rank), 0) = 0) AS places
      FROM batchd.request r) counted WHERE places <> 1
    UNION ALL
    SELECT format('the totals say %s and counting %s', t, c) FROM batchd.totals t, (
      SELECT count(*) AS accepted, count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'in_flight') AS in_flight,
             count(*) FILTER (WHERE state = 'succeeded') AS succeeded, count(*) FILTER (WHERE state = 'failed') AS failed,
             count(*) FILTER (WHERE state = 'cancelled') AS cancelled, count(*) FILTER (WHERE state = 'expired') AS expired
      FROM batchd.request_status) c WHERE t::text <> c::text AND (SELECT count(*) FROM batchd.request) + t.accepted > 0
    UNION ALL
    SELECT format('job %s: the counters are not what counting says', job) FROM (
      (SELECT job, accepted, queued, in_flight, succeeded, failed, cancelled, expired FROM batchd.job_progress WHERE accepted <> 0
       EXCEPT
       SELECT job, count(*), count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'in_flight'),
              count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
              count(*) FILTER (WHERE state = 'cancelled'), count(*) FILTER (WHERE state = 'expired')
       FROM batchd.request_status GROUP BY job)) differing
    UNION ALL
    SELECT format('flow %s: %s queued and %s returned by the counters', flow, queued, returned) FROM (
      SELECT flow, sum(queued) AS queued, sum(queued_bytes) AS queued_bytes, sum(returned) AS returned
      FROM (SELECT flow, queued, queued_bytes, returned FROM batchd.flow
            UNION ALL SELECT flow, queued, queued_bytes, returned FROM batchd.delta) c GROUP BY flow) f
    WHERE queued <> (SELECT count(*) FROM batchd.queue q WHERE q.flow = f.flow)
       OR queued_bytes <> (SELECT coalesce(sum(bytes), 0) FROM batchd.queue q WHERE q.flow = f.flow)
       OR returned <> (SELECT count(*) FROM batchd.retry y WHERE y.flow = f.flow)
    UNION ALL
    SELECT format('deployment %s has %s reserved, its shards %s', name, reserved, held) FROM (
      SELECT d.name, d.reserved, (SELECT coalesce(sum(s.reserved), 0) FROM batchd.shard s WHERE s.deployment = d.name) AS held
      FROM batchd.deployment d) l WHERE reserved <> held
    UNION ALL
    SELECT format('money: shards have reserved %s, the days %s, the jobs %s', held, days, jobs) FROM (
      SELECT (SELECT coalesce(sum(reserved), 0) FROM batchd.shard_money) AS held, (SELECT coalesce(sum(reserved), 0) FROM batchd.money_day) AS days,
             (SELECT coalesce(sum(reserved), 0) FROM batchd.money_job) AS jobs) m WHERE held <> days OR held <> jobs
    UNION ALL
    SELECT format('request %s is settled and has attempts left behind', request_id) FROM batchd.request_attempt t
    WHERE EXISTS (SELECT FROM batchd.answer a WHERE a.request_id = t.request_id)
  ) problems)";

}  // namespace

Picture PgStoreHarness::picture() {
  Picture p;
  for (const Row& row :
       sql_.run("SELECT id, state, attempts, shard, batch_id, last_error FROM batchd.request_status ORDER BY id")) {
    p.requests.push_back(to_request(row));
  }
  for (const Row& row : sql_.run(std::string(select_results) + "result ORDER BY request_id")) p.results.push_back(to_result(row));
  for (const Row& row : sql_.run(std::string(select_results) + "result_history ORDER BY request_id, attempt, finished_at")) {
    p.history.push_back(to_result(row));
  }
  for (const Row& row : sql_.run(select_shards)) p.shards.push_back(to_shard(row));
  for (const Row& row : sql_.run("SELECT shard_id, attempt, provider, input_file, answer, batch_id FROM batchd.submission "
                                 "ORDER BY shard_id, attempt")) {
    p.submissions.push_back({ShardId{number(row[0])}, static_cast<int>(number(row[1])), row[2], row[3], row[4], row[5]});
  }
  for (const Row& row :
       sql_.run("SELECT provider, batch_id, kind, shard_id, attempt, status, input_file, output_file, error_file, "
                "over_at IS NOT NULL, used_at IS NOT NULL, done_at IS NOT NULL, coalesce(total, -1), coalesce(completed, -1), "
                "coalesce(failed, -1), coalesce(extract(epoch FROM batch_created_at)::bigint, -1) FROM batchd.stray "
                "ORDER BY provider, batch_id")) {
    p.strays.push_back({row[0], row[1], row[2], ShardId{number(row[3])}, static_cast<int>(number(row[4])), row[5], row[6], row[7],
                        row[8], is_true(row[9]), is_true(row[10]), is_true(row[11]), number(row[12]), number(row[13]),
                        number(row[14]), number(row[15])});
  }
  for (const Row& row : sql_.run("SELECT name, provider, model, enqueued_token_limit, reserved, configured, "
                                 "coalesce(paused_until > clock_timestamp(), false), pause_reason FROM batchd.deployment "
                                 "ORDER BY name")) {
    p.deployments.push_back({row[0], row[1], row[2], number(row[3]), number(row[4]), is_true(row[5]), is_true(row[6]), row[7]});
  }
  for (const Row& row :
       sql_.run("SELECT r.name, p.term FROM batchd.role r JOIN batchd.replica p ON p.term = r.owner ORDER BY 1")) {
    p.roles.emplace_back(row[0], Term{number(row[1])});
  }
  for (const Row& row : sql_.run("SELECT term FROM batchd.replica ORDER BY 1")) p.replicas.push_back(Term{number(row[0])});
  for (const Row& row : sql_.run("SELECT request_id FROM batchd.cancel_wish ORDER BY 1")) {
    p.wishes.push_back(RequestId{number(row[0])});
  }
  for (const Row& row : sql_.run("SELECT scope FROM batchd.pause ORDER BY 1")) p.pauses.push_back(row[0]);
  for (const Row& row : sql_.run("SELECT provider || ' ' || reason FROM batchd.unmatched ORDER BY 1"))
    p.unmatched.push_back(row[0]);
  return p;
}

std::string PgStoreHarness::check() {
  return sql_.value(violations);
}

}  // namespace batchd::conformance
