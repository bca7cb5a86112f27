-- oldest-program: 1
-- What anyone may look at. A request's state is found by elimination (answered, returned, in a live shard, else queued),
-- so that nothing is ever rewritten to change it.

CREATE VIEW batchd.result AS
SELECT request_id, outcome, status_code, response::json AS response, error::json AS error, input_tokens, output_tokens,
       provider_request_id, finished_at, shard_id, attempt
FROM batchd.answer;

-- `key` comes from request_key, whose index answers WHERE job = ... AND key = ... in one probe.
CREATE VIEW batchd.request_status AS
SELECT r.id, r.job, k.key,
       CASE WHEN a.request_id IS NOT NULL THEN a.outcome
            WHEN y.request_id IS NULL AND m.shard_id IS NOT NULL THEN 'in_flight'
            ELSE 'queued' END AS state,
       coalesce(a.attempt, t.attempts, 0) AS attempts,
       s.id AS shard, s.batch_id, coalesce(a.error, t.error)::json AS last_error
FROM batchd.request r
LEFT JOIN batchd.request_key k ON k.job = r.job AND k.key = r.key AND k.request_id = r.id
LEFT JOIN batchd.answer a ON a.request_id = r.id
LEFT JOIN batchd.retry y ON y.request_id = r.id
LEFT JOIN batchd.request_attempt t ON t.request_id = r.id
-- A returned request may already be in a newer shard while the one it came from is still being merged.
LEFT JOIN LATERAL (SELECT i.shard_id FROM batchd.shard_member i
                   WHERE i.flow = batchd.flow_of(r.model, r.endpoint, r.job, r.priority, r.deadline)
                     AND i.last_id >= r.id AND i.first_id <= r.id AND i.members @> r.id AND a.request_id IS NULL
                   ORDER BY i.shard_id DESC LIMIT 1) m ON true
LEFT JOIN batchd.shard s ON s.id = coalesce(a.shard_id, CASE WHEN y.request_id IS NULL THEN m.shard_id END);

-- Counters rolled up plus those that are not yet, in one snapshot: accepted = queued + in_flight + the four outcomes, always.
CREATE VIEW batchd.job_progress AS
SELECT job, accepted, queued, in_flight, succeeded, failed, cancelled, expired, input_tokens, output_tokens, started, last_settled,
       CASE WHEN queued + in_flight > 0 AND last_settled > started
            THEN last_settled + (last_settled - started) * ((queued + in_flight)::double precision / (accepted - queued - in_flight))
       END AS estimated_finish
FROM (
  SELECT job, sum(accepted)::bigint AS accepted, sum(queued)::bigint AS queued, sum(in_flight)::bigint AS in_flight,
         sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled,
         sum(expired)::bigint AS expired, sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
         min(first_at) AS started, max(last_at) AS last_settled
  FROM (
    SELECT job, accepted, queued, in_flight, succeeded, failed, cancelled, expired, input_tokens, output_tokens, first_at, last_at
    FROM batchd.job_count
    UNION ALL
    SELECT job, accepted, queued + returned, in_flight, succeeded, failed, cancelled, expired, input_tokens, output_tokens, at,
           CASE WHEN succeeded + failed + cancelled + expired > 0 THEN at END
    FROM batchd.delta
  ) counted
  GROUP BY job
) progress;

-- The same over all jobs: one row.
CREATE VIEW batchd.totals AS
SELECT sum(accepted)::bigint AS accepted, sum(queued)::bigint AS queued, sum(in_flight)::bigint AS in_flight,
       sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled,
       sum(expired)::bigint AS expired
FROM (
  SELECT accepted, queued, in_flight, succeeded, failed, cancelled, expired FROM batchd.total
  UNION ALL
  SELECT accepted, queued + returned, in_flight, succeeded, failed, cancelled, expired FROM batchd.delta
) counted;
