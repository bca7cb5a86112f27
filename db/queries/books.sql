-- The books of what was posted, and of the batches that they do not explain.

-- name: announce_submission
-- Enters a POST that is about to be made; fails when that attempt was announced before.
INSERT INTO batchd.submission (shard_id, attempt, provider, input_file) VALUES ($1::bigint, $2::int, $3, $4);

-- name: answer_submission
-- Enters what became of a POST.
UPDATE batchd.submission SET answer = $3, answered_at = clock_timestamp(), batch_id = nullif($4, '')
WHERE shard_id = $1::bigint AND attempt = $2::int;

-- name: found_submission
-- Enters a POST whose batch turned up in the provider's list.
INSERT INTO batchd.submission AS b (shard_id, attempt, provider, input_file, answer, answered_at, batch_id)
VALUES ($1::bigint, $2::int, $3, $4, 'created', clock_timestamp(), $5)
ON CONFLICT (shard_id, attempt) DO UPDATE SET answer = excluded.answer, answered_at = excluded.answered_at, batch_id = excluded.batch_id;

-- name: reserve_enqueued
-- Takes room for a batch that the provider has enqueued already, whether there is any or not.
UPDATE batchd.deployment SET reserved = reserved + $2::bigint WHERE name = $1;

-- name: look_up_batches
-- What the books say of listed batches: of the shard and attempt that each names, or of those that its input file was sent for. When
-- they know of no POST with that file, of the shard whose file it is: the announcement was lost.
SELECT coalesce(k.shard, 0) AS shard, coalesce(k.attempt, 0) AS attempt,
       s.id IS NULL AND k.shard <= (SELECT i.retired_through FROM batchd.instance i) AS retired,
       EXISTS (SELECT FROM batchd.stray t WHERE t.provider = $1 AND t.batch_id = u.batch)
         OR EXISTS (SELECT FROM batchd.shard o WHERE o.batch_id = u.batch AND o.provider = $1) AS recorded,
       b.shard_id IS NOT NULL AS announced, coalesce(b.batch_id, '') AS batch, coalesce(nullif(b.input_file, ''), '') AS input_file,
       coalesce(s.state, '') AS state, coalesce(s.attempt, 0) AS shard_attempt, s.intent_at IS NOT NULL AS intent,
       coalesce(s.batch_id, '') AS shard_batch, coalesce(s.requests, 0) AS requests
FROM unnest($2::text[], $3::bigint[], $4::int[], $5::text[]) WITH ORDINALITY AS u (batch, shard, attempt, file, place)
LEFT JOIN LATERAL (SELECT f.shard_id, f.attempt FROM batchd.submission f
                   WHERE u.shard = 0 AND f.input_file = u.file AND f.provider = $1
                   ORDER BY f.batch_id IS NOT DISTINCT FROM u.batch DESC, f.answer = 'open' DESC, f.attempt DESC LIMIT 1) f ON true
LEFT JOIN LATERAL (SELECT o.id, o.attempt FROM batchd.shard o
                   WHERE u.shard = 0 AND f.shard_id IS NULL AND o.input_file = u.file AND o.provider = $1
                   ORDER BY o.state = 'closed', o.id LIMIT 1) h ON true
CROSS JOIN LATERAL (SELECT CASE WHEN u.shard > 0 THEN u.shard ELSE coalesce(f.shard_id, h.id) END AS shard,
                           CASE WHEN u.shard > 0 THEN u.attempt ELSE coalesce(f.attempt, h.attempt) END AS attempt) k
LEFT JOIN batchd.submission b ON b.shard_id = k.shard AND b.attempt = k.attempt AND b.provider = $1
LEFT JOIN batchd.shard s ON s.id = k.shard AND s.provider = $1
ORDER BY u.place;

-- name: wants_walks
-- Whether something of ours may still turn up at a provider, or has and is not dealt with.
SELECT EXISTS (SELECT FROM batchd.submission WHERE answer = 'fenced' AND provider = $1 AND answered_at > clock_timestamp() - interval '48 h')
       OR EXISTS (SELECT FROM batchd.stray WHERE provider = $1 AND kind = 'duplicate' AND done_at IS NULL);

-- name: record_stray
-- Remembers a batch that the books do not explain; a row when nobody had before.
INSERT INTO batchd.stray (provider, batch_id, kind, shard_id, attempt, status, input_file, output_file, error_file, total, completed, failed,
                          batch_created_at, over_at, done_at)
SELECT $1, $2, $3, $4::bigint, $5::int, $6, nullif($7, ''), nullif($8, ''), nullif($9, ''), nullif($10::bigint, -1), nullif($11::bigint, -1),
       nullif($12::bigint, -1), CASE WHEN $13::bigint >= 0 THEN to_timestamp($13::bigint) END, CASE WHEN $14::boolean THEN clock_timestamp() END,
       CASE WHEN $3 <> 'duplicate' THEN clock_timestamp() END
WHERE NOT batchd.has_moved()
ON CONFLICT (provider, batch_id) DO NOTHING RETURNING batch_id;

-- name: open_strays
-- Duplicates at a provider that are not dealt with, the oldest first.
SELECT t.batch_id, t.shard_id, t.attempt, t.status, coalesce(t.input_file, '') AS input_file, coalesce(t.output_file, '') AS output_file,
       coalesce(t.error_file, '') AS error_file, t.over_at IS NOT NULL AS over, t.used_at IS NOT NULL AS used,
       (1000 * extract(epoch FROM clock_timestamp() - t.found_at))::bigint AS age,
       coalesce(1000 * extract(epoch FROM clock_timestamp() - t.over_at), 0)::bigint AS idle, coalesce(s.state, '') AS holder
FROM batchd.stray t LEFT JOIN batchd.shard s ON s.id = t.shard_id
WHERE t.provider = $1 AND t.kind = 'duplicate' AND t.done_at IS NULL AND NOT batchd.has_moved() ORDER BY t.found_at LIMIT 100;

-- name: strays_of_shard
-- Duplicates of one shard's batch.
SELECT t.batch_id, t.shard_id, t.attempt, t.status, coalesce(t.input_file, '') AS input_file, coalesce(t.output_file, '') AS output_file,
       coalesce(t.error_file, '') AS error_file, t.over_at IS NOT NULL AS over, t.used_at IS NOT NULL AS used,
       (1000 * extract(epoch FROM clock_timestamp() - t.found_at))::bigint AS age,
       coalesce(1000 * extract(epoch FROM clock_timestamp() - t.over_at), 0)::bigint AS idle, '' AS holder
FROM batchd.stray t WHERE t.shard_id = $1::bigint AND t.kind = 'duplicate' AND t.done_at IS NULL ORDER BY t.found_at;

-- name: update_stray
-- What is known of a duplicate now; what was seen or done stays so.
UPDATE batchd.stray SET status = $3, output_file = coalesce(nullif($4, ''), output_file), error_file = coalesce(nullif($5, ''), error_file),
  over_at = CASE WHEN $6::boolean THEN coalesce(over_at, clock_timestamp()) ELSE over_at END,
  used_at = CASE WHEN $7::boolean THEN coalesce(used_at, clock_timestamp()) ELSE used_at END,
  done_at = CASE WHEN $8::boolean THEN coalesce(done_at, clock_timestamp()) ELSE done_at END
WHERE provider = $1 AND batch_id = $2;

-- name: await_planner
-- Nobody gives out numbers of shards meanwhile. Locks in the order in which bind_found takes them.
SELECT FROM batchd.role WHERE name IN ('plan', 'watch:' || $1) ORDER BY name DESC FOR NO KEY UPDATE;

-- name: number_is_taken
-- Whether a number that a found batch was submitted under was given out anew meanwhile, to a shard of another provider's.
SELECT EXISTS (SELECT FROM batchd.shard s WHERE s.id = $1::bigint)
    OR EXISTS (SELECT FROM batchd.submission b WHERE b.shard_id = $1::bigint AND b.provider <> $2);

-- name: bind_found
-- Binds waiting requests to a shard for a batch that has them.
SELECT shard, members FROM batchd.bind_found($1::bigint, $2, $3, $4::bigint, $5::int, $6, $7, $8::bigint, $9::bigint[], $10::int[]);

-- name: skip_shards
-- Numbers of shards go on above those that a provider lists.
SELECT batchd.skip_shards($1::bigint);
