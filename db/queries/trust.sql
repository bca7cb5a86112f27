-- How far the books can be believed: what this server has forgotten, and which providers' lists have to be compared with them.

-- name: beat
-- Renews the heartbeat of a replica that nobody has buried; tells how many beats the database remembers, this one included, and whether
-- its server's history has become another.
UPDATE batchd.replica SET heartbeat_at = clock_timestamp(), beats = beats + 1 WHERE term = $1::bigint
RETURNING beats, batchd.is_rewound();

-- name: end_unknown_term
-- Ends a term that had begun in this very instance and is not alive: a row proves that the database has forgotten its beginning, or
-- beats that it confirmed before the term was ended.
INSERT INTO batchd.ended_term AS e (term, beats) SELECT $1::bigint, $3::bigint FROM batchd.instance i WHERE i.id = $2
ON CONFLICT (term) DO UPDATE SET beats = excluded.beats WHERE e.beats < excluded.beats
RETURNING e.term;

-- name: count_beat
-- The same without a sign of life, for a write that must not be forgotten: no row when the database has forgotten an earlier one.
UPDATE batchd.replica SET beats = beats + 1 WHERE term = $1::bigint AND beats >= $2::bigint RETURNING beats;

-- name: remembers
-- Whether the database still knows the last confirmed beat of a term, and a deployment's provider may be given new work.
SELECT FROM batchd.replica r, batchd.deployment d
WHERE r.term = $1::bigint AND r.beats >= $2::bigint AND d.name = $3 AND batchd.is_trusted(d.provider);

-- name: distrust
-- These providers' lists must be compared with the books before anything new happens there.
SELECT batchd.distrust($1::text[], $2::boolean);

-- name: unmatched
-- Providers whose lists have to be compared with the books, and since when.
SELECT provider, reason, since::text FROM batchd.unmatched ORDER BY provider;

-- name: matched
-- A provider's list has been compared whole, from a moment after it was last distrusted on.
DELETE FROM batchd.unmatched WHERE provider = $1 AND since = $2::timestamptz
  AND EXISTS (SELECT FROM batchd.replica r WHERE r.term = $3::bigint) AND NOT batchd.is_rewound();
