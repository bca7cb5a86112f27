-- Files at a provider that no shard knows of.

-- name: suspect_orphans
-- A provider's files are to be looked through now.
INSERT INTO batchd.orphan_search AS o (provider, due_at, suspected_at) VALUES ($1, clock_timestamp(), clock_timestamp())
ON CONFLICT (provider) DO UPDATE SET due_at = least(o.due_at, excluded.due_at), suspected_at = excluded.suspected_at;

-- name: suspect_all_orphans
-- The same of every provider: a replica has died.
UPDATE batchd.orphan_search SET due_at = least(due_at, clock_timestamp()), suspected_at = clock_timestamp();

-- name: orphans_due
-- Whether a provider's files are to be looked through now. Never in a database that is visibly a copy: what is named so there belongs
-- to the original. Never while commits may be lost: what looks like nobody's may be the input of a batch to be adopted.
SELECT suspected_at::text FROM batchd.orphan_search
WHERE provider = $1 AND due_at <= clock_timestamp() AND NOT batchd.has_moved() AND batchd.is_trusted($1);

-- name: orphans_swept
-- A provider's files have been looked through: again in an hour or so, but soon when a lost upload may still come to its end there.
UPDATE batchd.orphan_search
SET other_files = $4::bigint, counted_at = clock_timestamp(),
    due_at = clock_timestamp() + CASE WHEN suspected_at > clock_timestamp() - interval '10 min' THEN interval '3 min'
                                      ELSE (1 + random() / 10) * interval '1 hour' END
WHERE provider = $2 AND suspected_at = $3::timestamptz AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $1::bigint);

-- name: file_slots
-- A provider's files: inputs and results that shards hold, results that may still come, others as they were last counted and how many
-- milliseconds ago.
SELECT coalesce(sum((input_file IS NOT NULL)::int), 0), coalesce(sum((output_file IS NOT NULL)::int + (error_file IS NOT NULL)::int), 0),
       2 * count(*) FILTER (WHERE state IN ('uploaded', 'submitted')),
       (SELECT other_files FROM batchd.orphan_search o WHERE o.provider = $1),
       (SELECT (1000 * extract(epoch FROM clock_timestamp() - o.counted_at))::bigint FROM batchd.orphan_search o WHERE o.provider = $1)
FROM batchd.shard WHERE provider = $1 AND state <> 'closed';

-- name: books_trusted
-- Whether what the books say of a provider's files can be relied upon.
SELECT NOT batchd.has_moved() AND batchd.is_trusted($1);

-- name: file_owners
-- Shards that files are named after, and whether a living replica may be uploading for them.
SELECT s.id, coalesce(s.input_file, ''), s.attempt, s.state = 'planned',
       s.state = 'planned' AND EXISTS (SELECT FROM batchd.replica o WHERE o.term = s.owner)
FROM batchd.shard s WHERE s.id = ANY ($1::bigint[]);

-- name: needed_inputs
-- Inputs of these shards' submissions whose batches exist or may exist.
SELECT DISTINCT input_file FROM batchd.submission WHERE shard_id = ANY ($1::bigint[]) AND provider = $2 AND answer IN ('open', 'created');
