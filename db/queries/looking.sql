-- What metrics, pages and commands read. Nothing here counts requests.

-- name: totals
-- The counters over all jobs: exactly accepted = queued + in_flight + the outcomes.
SELECT accepted, queued, in_flight, succeeded, failed, cancelled, expired FROM batchd.totals;

-- name: shard_states
-- Live shards by state.
SELECT state, count(*) FROM batchd.shard WHERE state <> 'closed' GROUP BY state;

-- name: queued_by_lane
-- What waits for each model and endpoint.
SELECT model, endpoint, sum(greatest(queued, 0) + greatest(returned, 0))::bigint
FROM batchd.flow WHERE queued > 0 OR returned > 0 GROUP BY model, endpoint;

-- name: oldest_queued
-- How long the request that has waited longest has waited, in milliseconds.
SELECT coalesce(1000 * extract(epoch FROM clock_timestamp() - min(since)), 0)::bigint
FROM (SELECT least(CASE WHEN f.queued > 0 THEN greatest(f.waiting_since, c.waiting_since) END,
                   (SELECT y.due_at FROM batchd.retry y WHERE y.flow = f.flow AND y.due_at <= statement_timestamp()
                    ORDER BY y.flow, y.due_at LIMIT 1)) AS since
      FROM batchd.flow f LEFT JOIN batchd.flow_cursor c USING (flow) WHERE f.queued > 0 OR f.returned > 0) waiting;

-- name: submissions_unknown
-- Submissions whose answer is not known: looked for already, or open for longer than a POST takes.
SELECT count(*) FROM batchd.shard
WHERE state = 'uploaded' AND state <> 'closed' AND intent_at IS NOT NULL AND (looks > 0 OR intent_at < clock_timestamp() - interval '30 s');

-- name: files_by_provider
-- Files that a provider holds: those of live shards, and the others as they were last counted.
SELECT provider, sum(files)::bigint
FROM (SELECT provider, (input_file IS NOT NULL)::int + (output_file IS NOT NULL)::int + (error_file IS NOT NULL)::int AS files
      FROM batchd.shard WHERE state <> 'closed'
      UNION ALL
      SELECT provider, other_files FROM batchd.orphan_search) held
GROUP BY provider HAVING sum(files) > 0;

-- name: some_jobs
-- Unfinished jobs and the latest ones, unfinished first.
SELECT p.job, accepted, queued, in_flight, succeeded, failed, cancelled, expired, input_tokens, output_tokens,
       to_char(started AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS started_text,
       to_char(last_settled AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS settled_text,
       to_char(estimated_finish AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS finish_text,
       (cost * 1000000000)::bigint AS cost,
       EXISTS (SELECT FROM batchd.money_wait w
               WHERE w.job = p.job AND w.noted_at BETWEEN clock_timestamp() - interval '20 min' AND clock_timestamp()) AS waits_for_money
FROM batchd.job_progress p
ORDER BY (queued + in_flight > 0) DESC, started DESC, job LIMIT $1::int;

-- name: one_job
-- One job's counters.
SELECT p.job, accepted, queued, in_flight, succeeded, failed, cancelled, expired, input_tokens, output_tokens,
       to_char(started AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS started_text,
       to_char(last_settled AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS settled_text,
       to_char(estimated_finish AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS finish_text,
       (cost * 1000000000)::bigint AS cost,
       EXISTS (SELECT FROM batchd.money_wait w
               WHERE w.job = p.job AND w.noted_at BETWEEN clock_timestamp() - interval '20 min' AND clock_timestamp()) AS waits_for_money
FROM batchd.job_progress p WHERE p.job = $1;

-- name: request_by_id
-- What has become of a request.
SELECT id, job, key, state, attempts, shard, batch_id, last_error FROM batchd.request_status WHERE id = $1::bigint;

-- name: request_by_key
-- The same by its producer's name.
SELECT id, job, key, state, attempts, shard, batch_id, last_error FROM batchd.request_status WHERE job = $1 AND key = $2;
