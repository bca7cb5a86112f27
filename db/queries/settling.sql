-- Deciding members: the statements of one chunk's transaction, beside the COPY into batchd.answer.

-- name: lock_settling
-- Locks a leased shard whose members are still being decided; no row when the lease is lost.
SELECT s.state, s.finish_reason, coalesce(encode(p.decided, 'hex'), '')
FROM batchd.shard s LEFT JOIN batchd.shard_progress p ON p.shard_id = s.id
WHERE s.id = $1::bigint AND s.owner = $2::bigint AND s.state NOT IN ('merged', 'closed')
  AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $2::bigint) FOR NO KEY UPDATE OF s;

-- name: store_progress
-- Replaces the bitmap of decided members.
INSERT INTO batchd.shard_progress (shard_id, decided) VALUES ($1::bigint, decode($2, 'hex'))
ON CONFLICT (shard_id) DO UPDATE SET decided = excluded.decided;

-- name: queue_again
-- Queues returned members again, each due after so many milliseconds.
INSERT INTO batchd.retry (request_id, flow, due_at, bytes)
SELECT u.id, u.flow, clock_timestamp() + u.delay * interval '1 ms',
       (SELECT octet_length(r.body::text) FROM batchd.request r WHERE r.id = u.id)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (id, flow, delay);

-- name: note_attempts
-- Remembers the attempts and the last error of returned members.
INSERT INTO batchd.request_attempt (request_id, attempts, error)
SELECT u.id, u.attempts, nullif(u.error, '') FROM unnest($1::bigint[], $2::int[], $3::text[]) AS u (id, attempts, error)
ON CONFLICT (request_id) DO UPDATE SET attempts = excluded.attempts, error = coalesce(excluded.error, request_attempt.error);

-- name: forget_attempts
-- Forgets the attempts of members that are settled.
DELETE FROM batchd.request_attempt WHERE request_id = ANY ($1::bigint[]);

-- name: count_settled
-- Announces what a chunk changed, a row a flow.
INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, returned, in_flight, succeeded, failed, cancelled, expired,
                          input_tokens, output_tokens)
SELECT f.flow, f.model, f.endpoint, f.job, f.priority, f.deadline, u.returned,
       -(u.returned + u.succeeded + u.failed + u.cancelled + u.expired), u.succeeded, u.failed, u.cancelled, u.expired, u.input, u.output
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
     AS u (flow, returned, succeeded, failed, cancelled, expired, input, output)
JOIN batchd.flow f ON f.flow = u.flow;

-- name: cancel_wished
-- Cancels those of the returned members that nobody wants any more.
SELECT batchd.cancel_returned($1::bigint[], true) WHERE EXISTS (SELECT FROM batchd.cancel_wish);

-- name: drop_wishes
-- Forgets the wishes of members that are settled: a paid answer wins.
DELETE FROM batchd.cancel_wish w
WHERE w.request_id BETWEEN $1::bigint AND $2::bigint AND EXISTS (SELECT FROM batchd.answer a WHERE a.request_id = w.request_id);
