-- Shards: leasing, saving, members.

-- name: lease_shards
-- Leases due shards of a state that nobody alive holds (or this term, but is not busy with), best first, to a living term.
WITH best AS (
  SELECT s.id FROM batchd.shard s
  WHERE s.state = $2 AND s.state <> 'closed' AND s.due_at <= clock_timestamp()
    AND (s.owner IS NULL OR (s.owner = $1::bigint AND s.id <> ALL ($4::bigint[]))
         OR NOT EXISTS (SELECT FROM batchd.replica o WHERE o.term = s.owner))
    AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $1::bigint)
  ORDER BY s.priority DESC, s.deadline, s.id LIMIT $3::int FOR NO KEY UPDATE SKIP LOCKED
), leased AS (
  UPDATE batchd.shard s SET owner = $1::bigint FROM best WHERE s.id = best.id
  RETURNING s.id, s.model, s.endpoint, s.deployment, s.provider, s.priority, s.state, s.attempt, s.requests, s.bytes, s.tokens, s.reserved,
  s.intent_at IS NOT NULL AS intent, s.looks, coalesce(s.input_file, '') AS input_file, coalesce(s.batch_id, '') AS batch_id,
  s.batch_status, coalesce(s.output_file, '') AS output_file, coalesce(s.error_file, '') AS error_file, s.finish_reason,
  coalesce(s.error, '') AS error, s.failures,
  coalesce(1000 * extract(epoch FROM clock_timestamp() - s.intent_at), 0)::bigint AS intent_age,
  (1000 * extract(epoch FROM clock_timestamp() - s.state_at))::bigint AS state_age, s.deadline
)
SELECT * FROM leased ORDER BY priority DESC, deadline, id;

-- name: lease_one
-- Leases one given shard when it is free, or this term's already, and in the state given, due or not.
UPDATE batchd.shard s SET owner = $1::bigint
WHERE s.id = $2::bigint AND s.state = $3 AND s.state <> 'closed'
  AND (s.owner IS NULL OR s.owner = $1::bigint OR NOT EXISTS (SELECT FROM batchd.replica o WHERE o.term = s.owner))
  AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $1::bigint)
RETURNING s.id, s.model, s.endpoint, s.deployment, s.provider, s.priority, s.state, s.attempt, s.requests, s.bytes, s.tokens, s.reserved,
  s.intent_at IS NOT NULL AS intent, s.looks, coalesce(s.input_file, '') AS input_file, coalesce(s.batch_id, '') AS batch_id,
  s.batch_status, coalesce(s.output_file, '') AS output_file, coalesce(s.error_file, '') AS error_file, s.finish_reason,
  coalesce(s.error, '') AS error, s.failures,
  coalesce(1000 * extract(epoch FROM clock_timestamp() - s.intent_at), 0)::bigint AS intent_age,
  (1000 * extract(epoch FROM clock_timestamp() - s.state_at))::bigint AS state_age;

-- name: save_shard
-- Records what a shard became, if its lease and its expected state still stand.
UPDATE batchd.shard s SET
  state = $6, attempt = $7::int, bytes = $8::bigint, tokens = $9::bigint, reserved = $10::bigint,
  intent_at = CASE WHEN NOT $11::boolean THEN NULL WHEN s.attempt = $7::int THEN coalesce(s.intent_at, clock_timestamp())
                   ELSE clock_timestamp() END,
  looks = $12::int, input_file = nullif($13, ''), batch_id = nullif($14, ''), batch_status = $15, output_file = nullif($16, ''),
  error_file = nullif($17, ''), finish_reason = $18, error = nullif($19, ''), failures = $20::int,
  due_at = clock_timestamp() + $21::bigint * interval '1 ms',
  owner = CASE WHEN $22::boolean AND $6 <> 'closed' THEN s.owner END,
  state_at = CASE WHEN s.state = $6 THEN s.state_at ELSE clock_timestamp() END,
  uploaded_at = CASE WHEN $6 = 'uploaded' AND s.state <> $6 THEN clock_timestamp() ELSE s.uploaded_at END,
  submitted_at = CASE WHEN $6 = 'submitted' AND s.state <> $6 THEN clock_timestamp() ELSE s.submitted_at END,
  finished_at = CASE WHEN $6 = 'finished' AND s.state <> $6 THEN clock_timestamp() ELSE s.finished_at END,
  merged_at = CASE WHEN $6 = 'merged' AND s.state <> $6 THEN clock_timestamp() ELSE s.merged_at END,
  closed_at = CASE WHEN $6 = 'closed' AND s.state <> $6 THEN clock_timestamp() ELSE s.closed_at END
WHERE s.id = $1::bigint AND s.owner = $2::bigint AND s.state = $3 AND s.attempt = $4::int AND (s.intent_at IS NOT NULL) = $5::boolean
  AND s.reserved = $23::bigint
RETURNING s.deployment, s.requests;

-- name: move_reservation
-- Moves a deployment's ledger; growth only into room that is there, and not while the deployment, everything, or a job with
-- requests in the shard is paused, or the deployment is no longer configured.
UPDATE batchd.deployment d SET reserved = reserved + $2::bigint
WHERE d.name = $1 AND ($2::bigint <= 0 OR (reserved + $2::bigint <= enqueued_token_limit AND configured
  AND NOT coalesce(paused_until > clock_timestamp(), false)
  AND NOT EXISTS (SELECT FROM batchd.pause p WHERE p.scope IN ('all', 'deployment:' || d.name))
  AND NOT EXISTS (SELECT FROM batchd.pause p JOIN batchd.flow f ON p.scope = 'job:' || f.job
                  JOIN batchd.shard_member m ON m.flow = f.flow WHERE m.shard_id = $3::bigint)));

-- name: release_progress
-- Forgets a merged shard's bitmap, telling how many members it showed as decided.
DELETE FROM batchd.shard_progress WHERE shard_id = $1::bigint RETURNING bit_count(decided);

-- name: release_members
-- Forgets a merged shard's members.
DELETE FROM batchd.shard_member WHERE shard_id = $1::bigint;

-- name: shard_members
-- The members of a shard, in the order of their ranks.
SELECT flow, members FROM batchd.shard_member WHERE shard_id = $1::bigint ORDER BY ordinal;

-- name: shard_decided
-- The bitmap of decided members, in hex.
SELECT encode(decided, 'hex') FROM batchd.shard_progress WHERE shard_id = $1::bigint;

-- name: member_attempts
-- Attempts used up by the members of a shard that have any: a look into the index for each range of ids.
SELECT t.request_id, t.attempts
FROM batchd.shard_member m
CROSS JOIN LATERAL unnest(m.members) AS r (ids)
CROSS JOIN LATERAL (SELECT a.request_id, a.attempts FROM batchd.request_attempt a
                    WHERE a.request_id >= lower(r.ids) AND a.request_id < upper(r.ids) OFFSET 0) t
WHERE m.shard_id = $1::bigint AND EXISTS (SELECT FROM batchd.request_attempt);

-- name: live_batches
-- Submitted shards of a provider.
SELECT id, batch_id, batch_status FROM batchd.shard WHERE state = 'submitted' AND state <> 'closed' AND provider = $1 ORDER BY id;

-- name: note_status
-- Notes the provider's word for batches that still run.
UPDATE batchd.shard s SET batch_status = n.status
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (shard, batch, status)
WHERE s.id = n.shard AND s.batch_id = n.batch AND s.state = 'submitted' AND s.batch_status <> n.status;
