-- From the queue to shards.

-- name: fold
-- Rolls up what producers and settling have announced.
SELECT batchd.fold($1::int);

-- name: waiting_flows
-- Flows with something to plan: queued rows by the counters, returned ones that are due by a bounded look at their index.
SELECT f.flow, f.model, f.endpoint, f.job, f.priority, greatest(f.queued, 0) AS queued, greatest(f.queued_bytes, 0) AS queued_bytes,
       coalesce(d.due, 0) AS due,
       coalesce(1000 * extract(epoch FROM clock_timestamp() -
         least(CASE WHEN f.queued > 0 THEN greatest(f.waiting_since, c.waiting_since) END, d.oldest)), 0)::bigint AS waiting_ms,
       (1000 * extract(epoch FROM f.deadline - clock_timestamp()))::bigint AS deadline_ms
FROM batchd.flow f
LEFT JOIN batchd.flow_cursor c USING (flow)
LEFT JOIN LATERAL (SELECT count(*) AS due, min(due_at) AS oldest
                   FROM (SELECT y.due_at FROM batchd.retry y WHERE y.flow = f.flow AND y.due_at <= statement_timestamp()
                         ORDER BY y.flow, y.due_at LIMIT 100000) first) d ON f.returned > 0
WHERE (f.queued > 0 OR f.returned > 0) AND (f.queued > 0 OR d.due > 0)
  AND NOT EXISTS (SELECT FROM batchd.pause p WHERE p.scope = 'job:' || f.job)
ORDER BY f.priority DESC, f.deadline, f.waiting_since, f.flow
LIMIT 10000;

-- name: deployment_loads
-- Configured deployments with what is reserved, staged and live there: touches live shards only.
SELECT d.name, d.provider, d.model, d.enqueued_token_limit, d.reserved, coalesce(s.staged, 0) AS staged,
       coalesce(s.staged_tokens, 0) AS staged_tokens, coalesce(s.live, 0) AS live, p.asked OR coalesce(d.paused_until > clock_timestamp(), false) OR NOT p.trusted AS paused,
       CASE WHEN p.asked THEN 'asked' WHEN p.trusted OR d.paused_until > clock_timestamp() THEN coalesce(d.pause_reason, '') ELSE 'unmatched' END AS reason,
       d.dynamic_token_limit, coalesce(d.room_believed, d.enqueued_token_limit) AS believed, d.room_told,
       coalesce(CASE WHEN d.room_told_at <= clock_timestamp() THEN 1000 * extract(epoch FROM clock_timestamp() - d.room_told_at) END,
                86400000)::bigint AS told_age,
       coalesce(CASE WHEN d.room_settled_at <= clock_timestamp() THEN 1000 * extract(epoch FROM clock_timestamp() - d.room_settled_at) END,
                86400000)::bigint AS settled_for,
       d.room_strikes, d.room_refusals, d.release_lag_ms, d.lag_blamed,
       (1000 * extract(epoch FROM clock_timestamp() - d.ended_at))::bigint AS since_end, batchd.leaving(d) AS leaving,
       coalesce(s.largest_waiting, 0) AS largest_waiting
FROM batchd.deployment d
CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM batchd.pause w WHERE w.scope IN ('all', 'deployment:' || d.name)) AS asked,
                           batchd.is_trusted(d.provider) AS trusted) p
LEFT JOIN (SELECT deployment,
                  count(*) FILTER (WHERE state <> 'submitted' AND intent_at IS NULL) AS staged,
                  sum(tokens) FILTER (WHERE state <> 'submitted' AND intent_at IS NULL) AS staged_tokens,
                  max(tokens) FILTER (WHERE state = 'uploaded' AND intent_at IS NULL) AS largest_waiting,
                  count(*) FILTER (WHERE state = 'submitted' OR intent_at IS NOT NULL) AS live
           FROM batchd.shard WHERE state <> 'closed' AND state IN ('planned', 'uploaded', 'submitted') GROUP BY deployment) s
       ON s.deployment = d.name
WHERE d.configured ORDER BY d.name;

-- name: plan_shard
-- Binds the next requests of a lane's flows to a new shard.
SELECT shard, members, file_bytes
FROM batchd.plan_shard($1::bigint, $2, $3, $4, $5::bigint[], $6::bigint, $7::bigint, $8::int, $9::double precision);

-- name: holds_plan
-- Locks the role `plan` for this transaction; no row when the term does not hold it, or is void.
SELECT FROM batchd.role r WHERE r.name = 'plan' AND r.owner = $1::bigint
  AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $1::bigint) FOR NO KEY UPDATE OF r;

-- name: is_alive
-- Whether a term stands; no row when it is void.
SELECT FROM batchd.replica WHERE term = $1::bigint;

-- name: fail_unroutable_queued
-- Settles queued requests that nobody takes and that have waited longer than so many milliseconds. What is taken: pairs of a model and
-- an endpoint without /v1, or an empty one for any.
WITH late AS MATERIALIZED (
  SELECT q.place
  FROM batchd.flow f
  CROSS JOIN LATERAL (SELECT ctid AS place, id FROM batchd.queue w WHERE w.flow = f.flow ORDER BY w.flow, w.xact, w.id LIMIT 1000) q
  CROSS JOIN LATERAL (SELECT r.created_at, r.deadline FROM batchd.request r WHERE r.id = q.id) r
  WHERE f.queued > 0 AND r.created_at < clock_timestamp() - $3::bigint * interval '1 ms'
    AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS taken (model, endpoint)
                    WHERE taken.model = f.model AND taken.endpoint IN ('', regexp_replace(f.endpoint, '^/v1/', '/')))
  LIMIT 1000
), gone AS (
  DELETE FROM batchd.queue WHERE ctid = ANY (ARRAY(SELECT place FROM late)) RETURNING flow, id, bytes
), settled AS (
  INSERT INTO batchd.answer (request_id, outcome, error, attempt)
  SELECT g.id, 'failed', json_build_object('code', 'no_deployment', 'message',
         format('no configured deployment serves the model %s at %s', f.model, f.endpoint))::text, 0
  FROM gone g JOIN batchd.flow f USING (flow)
), counted AS (
  INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, queued, queued_bytes, failed)
  SELECT f.flow, f.model, f.endpoint, f.job, f.priority, f.deadline, -count(*), -sum(g.bytes), count(*)
  FROM gone g JOIN batchd.flow f USING (flow) GROUP BY f.flow
)
SELECT count(*) FROM gone;

-- name: fail_unroutable_returned
-- The same for requests that were sent before, by a deployment that is gone.
WITH late AS MATERIALIZED (
  SELECT y.place
  FROM batchd.flow f
  CROSS JOIN LATERAL (SELECT ctid AS place, request_id FROM batchd.retry w WHERE w.flow = f.flow
                      ORDER BY w.flow, w.due_at, w.request_id LIMIT 1000) y
  CROSS JOIN LATERAL (SELECT r.created_at, r.deadline FROM batchd.request r WHERE r.id = y.request_id) r
  WHERE f.returned > 0 AND r.created_at < clock_timestamp() - $3::bigint * interval '1 ms'
    AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS taken (model, endpoint)
                    WHERE taken.model = f.model AND taken.endpoint IN ('', regexp_replace(f.endpoint, '^/v1/', '/')))
  LIMIT 1000
), gone AS (
  DELETE FROM batchd.retry WHERE ctid = ANY (ARRAY(SELECT place FROM late)) RETURNING flow, request_id
), forgotten AS (
  DELETE FROM batchd.request_attempt WHERE request_id = ANY (ARRAY(SELECT request_id FROM gone)) RETURNING request_id, attempts
), settled AS (
  INSERT INTO batchd.answer (request_id, outcome, error, attempt)
  SELECT g.request_id, 'failed', json_build_object('code', 'no_deployment', 'message',
         format('no configured deployment serves the model %s at %s', f.model, f.endpoint))::text, coalesce(t.attempts, 0)
  FROM gone g JOIN batchd.flow f USING (flow) LEFT JOIN forgotten t USING (request_id)
), counted AS (
  INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, returned, failed)
  SELECT f.flow, f.model, f.endpoint, f.job, f.priority, f.deadline, -count(*), count(*)
  FROM gone g JOIN batchd.flow f USING (flow) GROUP BY f.flow
)
SELECT count(*) FROM gone;

-- name: expire_overdue_queued
-- Settles queued requests whose deadline has passed; a flow's deadline is that of its requests, cut to the minute.
WITH late AS MATERIALIZED (
  SELECT q.place
  FROM batchd.flow f
  CROSS JOIN LATERAL (SELECT ctid AS place, id FROM batchd.queue w WHERE w.flow = f.flow ORDER BY w.flow, w.xact, w.id LIMIT 1000) q
  CROSS JOIN LATERAL (SELECT r.created_at, r.deadline FROM batchd.request r WHERE r.id = q.id) r
  WHERE f.queued > 0 AND f.deadline <= clock_timestamp() AND r.deadline <= clock_timestamp()
  LIMIT 1000
), gone AS (
  DELETE FROM batchd.queue WHERE ctid = ANY (ARRAY(SELECT place FROM late)) RETURNING flow, id, bytes
), settled AS (
  INSERT INTO batchd.answer (request_id, outcome, error, attempt)
  SELECT g.id, 'expired', json_build_object('code', 'deadline_passed', 'message',
         'the deadline passed before the request was answered')::text, 0
  FROM gone g JOIN batchd.flow f USING (flow)
), counted AS (
  INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, queued, queued_bytes, expired)
  SELECT f.flow, f.model, f.endpoint, f.job, f.priority, f.deadline, -count(*), -sum(g.bytes), count(*)
  FROM gone g JOIN batchd.flow f USING (flow) GROUP BY f.flow
)
SELECT count(*) FROM gone;

-- name: expire_overdue_returned
-- The same for requests that were sent before.
WITH late AS MATERIALIZED (
  SELECT y.place
  FROM batchd.flow f
  CROSS JOIN LATERAL (SELECT ctid AS place, request_id FROM batchd.retry w WHERE w.flow = f.flow
                      ORDER BY w.flow, w.due_at, w.request_id LIMIT 1000) y
  CROSS JOIN LATERAL (SELECT r.created_at, r.deadline FROM batchd.request r WHERE r.id = y.request_id) r
  WHERE f.returned > 0 AND f.deadline <= clock_timestamp() AND r.deadline <= clock_timestamp()
  LIMIT 1000
), gone AS (
  DELETE FROM batchd.retry WHERE ctid = ANY (ARRAY(SELECT place FROM late)) RETURNING flow, request_id
), forgotten AS (
  DELETE FROM batchd.request_attempt WHERE request_id = ANY (ARRAY(SELECT request_id FROM gone)) RETURNING request_id, attempts
), settled AS (
  INSERT INTO batchd.answer (request_id, outcome, error, attempt)
  SELECT g.request_id, 'expired', json_build_object('code', 'deadline_passed', 'message',
         'the deadline passed before the request was answered')::text, coalesce(t.attempts, 0)
  FROM gone g JOIN batchd.flow f USING (flow) LEFT JOIN forgotten t USING (request_id)
), counted AS (
  INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, returned, expired)
  SELECT f.flow, f.model, f.endpoint, f.job, f.priority, f.deadline, -count(*), count(*)
  FROM gone g JOIN batchd.flow f USING (flow) GROUP BY f.flow
)
SELECT count(*) FROM gone;

-- name: make_partitions
-- Makes the partitions that ids will need; one caller at a time, others skip.
SELECT CASE WHEN pg_try_advisory_xact_lock(hashtext('batchd.make_partitions')) THEN batchd.make_partitions() END;

-- name: retire_partition
-- Drops the oldest pair of partitions that was settled longer than so many milliseconds ago; one caller at a time.
SELECT coalesce((SELECT batchd.retire_partition($1::bigint * interval '1 ms') WHERE pg_try_advisory_xact_lock(hashtext('batchd.retire'))), false);

-- name: retire_shards
-- Forgets some shards that closed as long ago.
SELECT batchd.retire_shards($1::bigint * interval '1 ms');
