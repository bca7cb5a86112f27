-- Shards: leasing, saving, members.

-- name: lease_shards
-- Leases due shards of a state that nobody alive holds (or this term), best first, to a living term; none that this process is busy
-- with, be it under an earlier term, and none in a database that is visibly a copy: what its shards name belongs to the original. What is
-- uploaded waits for room, in its place in line, unless it is to be given up or was announced.
WITH best AS (
  SELECT s.id FROM batchd.shard s
  WHERE s.state = $2 AND s.state <> 'closed' AND s.due_at <= clock_timestamp()
    AND s.id <> ALL ($4::bigint[])
    AND (s.owner IS NULL OR s.owner = $1::bigint
         OR NOT EXISTS (SELECT FROM batchd.replica o WHERE o.term = s.owner))
    AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $1::bigint) AND NOT batchd.has_moved()
    AND (s.state <> 'uploaded' OR s.intent_at IS NOT NULL OR batchd.gets_room(s) OR batchd.is_unwanted(s))
  ORDER BY s.priority DESC, s.deadline, s.id LIMIT $3::int FOR NO KEY UPDATE SKIP LOCKED
), leased AS (
  UPDATE batchd.shard s SET owner = $1::bigint FROM best WHERE s.id = best.id
  RETURNING s.id, s.model, s.endpoint, s.deployment, s.provider, s.priority, s.state, s.attempt, s.requests, s.bytes, s.tokens, s.reserved,
  s.intent_at IS NOT NULL AS intent, s.looks, coalesce(s.input_file, '') AS input_file, coalesce(s.batch_id, '') AS batch_id,
  s.batch_status, coalesce(s.output_file, '') AS output_file, coalesce(s.error_file, '') AS error_file, s.finish_reason,
  coalesce(s.error, '') AS error, s.failures, s.denials, s.short_reads,
  coalesce(1000 * extract(epoch FROM clock_timestamp() - s.intent_at), 0)::bigint AS intent_age,
  (1000 * extract(epoch FROM clock_timestamp() - s.state_at))::bigint AS state_age,
  s.state IN ('planned', 'uploaded') AND s.intent_at IS NULL AND batchd.is_unwanted(s) AS unwanted,
  s.state = 'merged' AND EXISTS (SELECT FROM batchd.file_ceiling c WHERE c.provider = s.provider
                                   AND c.reached_at > clock_timestamp() - interval '10 min') AS hurried,
  batchd.is_doubtful(s) AS doubtful, s.deadline
)
SELECT * FROM leased ORDER BY priority DESC, deadline, id;

-- name: lease_one
-- Leases one given shard when it is free, or this term's already, and in the state given, due or not.
UPDATE batchd.shard s SET owner = $1::bigint
WHERE s.id = $2::bigint AND s.state = $3 AND s.state <> 'closed'
  AND (s.owner IS NULL OR s.owner = $1::bigint OR NOT EXISTS (SELECT FROM batchd.replica o WHERE o.term = s.owner))
  AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $1::bigint) AND NOT batchd.has_moved()
RETURNING s.id, s.model, s.endpoint, s.deployment, s.provider, s.priority, s.state, s.attempt, s.requests, s.bytes, s.tokens, s.reserved,
  s.intent_at IS NOT NULL AS intent, s.looks, coalesce(s.input_file, '') AS input_file, coalesce(s.batch_id, '') AS batch_id,
  s.batch_status, coalesce(s.output_file, '') AS output_file, coalesce(s.error_file, '') AS error_file, s.finish_reason,
  coalesce(s.error, '') AS error, s.failures, s.denials, s.short_reads,
  coalesce(1000 * extract(epoch FROM clock_timestamp() - s.intent_at), 0)::bigint AS intent_age,
  (1000 * extract(epoch FROM clock_timestamp() - s.state_at))::bigint AS state_age,
  s.state IN ('planned', 'uploaded') AND s.intent_at IS NULL AND batchd.is_unwanted(s) AS unwanted,
  s.state = 'merged' AND EXISTS (SELECT FROM batchd.file_ceiling c WHERE c.provider = s.provider
                                   AND c.reached_at > clock_timestamp() - interval '10 min') AS hurried,
  batchd.is_doubtful(s) AS doubtful;

-- name: save_shard
-- Records what a shard became, if its lease and its expected state still stand. The term must be alive: what a buried replica holds
-- is free, though nobody may have taken it yet.
UPDATE batchd.shard s SET
  state = $6, attempt = $7::int, bytes = $8::bigint, tokens = $9::bigint, reserved = $10::bigint,
  intent_at = CASE WHEN NOT $11::boolean THEN NULL WHEN s.attempt = $7::int THEN coalesce(s.intent_at, clock_timestamp())
                   ELSE clock_timestamp() END,
  accepted_at = CASE WHEN s.attempt <> $7::int THEN NULL
                     WHEN $15 IN ('in_progress', 'finalizing', 'completed') OR $18 IN ('ran', 'expired') THEN coalesce(s.accepted_at, clock_timestamp())
                     ELSE s.accepted_at END,
  looks = $12::int, input_file = nullif($13, ''), batch_id = nullif($14, ''), batch_status = $15, output_file = nullif($16, ''),
  error_file = nullif($17, ''), finish_reason = $18, error = nullif($19, ''), failures = $20::int, denials = $24::int, short_reads = $25::int,
  due_at = clock_timestamp() + $21::bigint * interval '1 ms',
  owner = CASE WHEN $22::boolean AND $6 <> 'closed' THEN s.owner END,
  state_at = CASE WHEN s.state = $6 THEN s.state_at ELSE clock_timestamp() END,
  uploaded_at = CASE WHEN $6 = 'uploaded' AND s.state <> $6 THEN clock_timestamp() ELSE s.uploaded_at END,
  submitted_at = CASE WHEN $6 = 'submitted' AND s.state <> $6 THEN clock_timestamp() ELSE s.submitted_at END,
  finished_at = CASE WHEN $6 = 'finished' AND s.state <> $6 THEN clock_timestamp() ELSE s.finished_at END,
  merged_at = CASE WHEN $6 = 'merged' AND s.state <> $6 THEN clock_timestamp() ELSE s.merged_at END,
  closed_at = CASE WHEN $6 = 'closed' AND s.state <> $6 THEN clock_timestamp() ELSE s.closed_at END
WHERE s.id = $1::bigint AND s.owner = $2::bigint AND s.state = $3 AND s.attempt = $4::int AND (s.intent_at IS NOT NULL) = $5::boolean
  AND s.reserved = $23::bigint AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $2::bigint)
RETURNING s.deployment, s.requests;

-- name: move_reservation
-- Moves a deployment's ledger; growth only into room that is believed to be there, and not while the deployment, everything, or a job
-- with requests in the shard is paused, the deployment is no longer configured, its provider's list has not been compared with the books,
-- or this database is visibly a copy of another. Larger files that go before the shard and find no room have been passed.
WITH moved AS (
  UPDATE batchd.deployment d SET reserved = reserved + $2::bigint
  WHERE d.name = $1 AND ($2::bigint <= 0 OR (batchd.has_room(d, $2::bigint) AND configured AND NOT batchd.has_moved()
    AND batchd.is_trusted(d.provider)
    AND NOT coalesce(paused_until > clock_timestamp(), false)
    AND NOT EXISTS (SELECT FROM batchd.pause p WHERE p.scope IN ('all', 'deployment:' || d.name))
    AND NOT EXISTS (SELECT FROM batchd.pause p JOIN batchd.flow f ON p.scope = 'job:' || f.job
                    JOIN batchd.shard_member m ON m.flow = f.flow WHERE m.shard_id = $3::bigint)))
  RETURNING d.name, d
), passed AS (
  UPDATE batchd.shard SET passed_at = clock_timestamp()
  WHERE id IN (SELECT e.id FROM moved, batchd.shard s, batchd.shard e
               WHERE $2::bigint > 0 AND s.id = $3::bigint
                 AND e.state = 'uploaded' AND e.state <> 'closed' AND e.deployment = moved.name AND e.intent_at IS NULL
                 AND e.passed_at IS NULL AND e.due_at <= clock_timestamp()
                 AND (-e.priority, coalesce(e.deadline, 'infinity'), e.id) < (-s.priority, coalesce(s.deadline, 'infinity'), s.id)
                 AND NOT batchd.has_room(moved.d, e.tokens)
               FOR NO KEY UPDATE OF e SKIP LOCKED)
)
SELECT FROM moved;

-- name: release_room
-- A batch has ended: what it held leaves the ledger, and counts on for as long as the provider takes to notice.
UPDATE batchd.deployment d SET reserved = d.reserved - $2::bigint, ended_at = clock_timestamp(),
  turnaround_ms = coalesce(d.turnaround_ms + (t.latest - d.turnaround_ms) / 8, t.latest),
  (leaving_tokens, leaving_until) = (
    SELECT coalesce(array_agg(l.tokens), '{}'), coalesce(array_agg(l.until), '{}')
    FROM (SELECT k.tokens, k.until FROM unnest(d.leaving_tokens, d.leaving_until) AS k (tokens, until) WHERE k.until > clock_timestamp()
          UNION ALL
          SELECT $2::bigint, clock_timestamp() + d.release_lag_ms * interval '1 ms' WHERE d.release_lag_ms > 0) l)
FROM (SELECT greatest(1000 * extract(epoch FROM clock_timestamp() - s.submitted_at), 0)::bigint AS latest
      FROM batchd.shard s WHERE s.id = $3::bigint) t
WHERE d.name = $1;

-- name: room_to_learn
-- What is believed of a deployment's quota, locked; no row when the term is void.
SELECT d.enqueued_token_limit, d.dynamic_token_limit, coalesce(d.room_believed, d.enqueued_token_limit) AS believed, d.room_told,
       coalesce(CASE WHEN d.room_told_at <= clock_timestamp() THEN 1000 * extract(epoch FROM clock_timestamp() - d.room_told_at) END,
                86400000)::bigint AS told_age,
       coalesce(CASE WHEN d.room_settled_at <= clock_timestamp() THEN 1000 * extract(epoch FROM clock_timestamp() - d.room_settled_at) END,
                86400000)::bigint AS settled_for,
       d.room_strikes, d.room_refusals, d.release_lag_ms, d.lag_blamed,
       (1000 * extract(epoch FROM clock_timestamp() - d.ended_at))::bigint AS since_end,
       d.reserved, batchd.leaving(d) AS leaving,
       coalesce((SELECT max(w.tokens) FROM batchd.shard w WHERE w.state = 'uploaded' AND w.state <> 'closed' AND w.deployment = d.name
                   AND w.intent_at IS NULL), 0) AS largest_waiting
FROM batchd.deployment d
WHERE d.name = $1 AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $2::bigint) FOR NO KEY UPDATE OF d;

-- name: save_room
-- What was learnt. `$4`: the provider named its limit just now; `$5`: something else is believed than before.
UPDATE batchd.deployment SET room_believed = nullif($2::bigint, enqueued_token_limit), room_told = nullif($3::bigint, 0),
  room_told_at = CASE WHEN $4::boolean THEN clock_timestamp() ELSE room_told_at END,
  room_settled_at = CASE WHEN $5::boolean THEN clock_timestamp() ELSE room_settled_at END,
  room_strikes = $6::int, room_refusals = $7::bigint, release_lag_ms = $8::bigint, lag_blamed = $9::boolean
WHERE name = $1;

-- name: hurry_refused_for_room
-- A batch has ended, and its tokens are free: what its deployment refused for want of room is due. What somebody works on is passed over.
UPDATE batchd.shard SET due_at = clock_timestamp()
WHERE id IN (SELECT id FROM batchd.shard
             WHERE deployment = $1 AND state = 'uploaded' AND state <> 'closed' AND intent_at IS NULL AND due_at > clock_timestamp()
               AND error::json->>'code' = $2
             FOR UPDATE SKIP LOCKED);

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
SELECT id, batch_id, batch_status, denials > 0 AS denied FROM batchd.shard
WHERE state = 'submitted' AND state <> 'closed' AND provider = $1 ORDER BY id;

-- name: note_status
-- Notes the provider's word for batches that still run; it denies them no more.
UPDATE batchd.shard s SET batch_status = n.status, denials = 0,
  accepted_at = CASE WHEN n.status IN ('in_progress', 'finalizing') THEN coalesce(s.accepted_at, clock_timestamp()) ELSE s.accepted_at END
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (shard, batch, status)
WHERE s.id = n.shard AND s.batch_id = n.batch AND s.state = 'submitted' AND (s.batch_status <> n.status OR s.denials > 0)
  AND EXISTS (SELECT FROM batchd.replica me WHERE me.term = $4::bigint);

-- name: place_wishes
-- Tells shards which of their requests were cancelled.
SELECT batchd.place_wishes($1::int);

-- name: flag_wished
-- Marks a shard just planned when a request in it was cancelled while it was on its way back from another.
UPDATE batchd.shard SET wished_at = clock_timestamp() WHERE id = $1::bigint AND batchd.wishes_in(id) > 0;

-- name: wished_batches
-- Batches with cancelled requests that nobody has acted upon, and how many of their requests are still wanted.
SELECT s.id, s.provider, s.batch_id, s.batch_status, s.wished_at::text,
       s.requests - coalesce((SELECT bit_count(p.decided) FROM batchd.shard_progress p WHERE p.shard_id = s.id), 0)
         - batchd.wishes_in(s.id) AS wanted
FROM batchd.shard s WHERE s.wished_at IS NOT NULL AND s.state <> 'closed' AND s.state = 'submitted' AND NOT batchd.has_moved() ORDER BY s.id LIMIT $1::int;

-- name: forget_wished
-- The wishes known then have been acted upon; a later one marks the shard anew.
UPDATE batchd.shard SET wished_at = NULL WHERE id = $1::bigint AND wished_at = $2::timestamptz;

-- name: suspicion
-- What is known about a refused shard: where the halving of its trial has got to, and whether its lane works. Trials are followed to
-- the one that is not halved itself, so that all that waits for one culprit goes free at the same moment.
WITH RECURSIVE chain AS (
  SELECT s.id, s.trial, 0 AS depth, 0::bigint AS undecided FROM batchd.shard s WHERE s.id = $1::bigint
  UNION ALL
  SELECT t.id, t.trial, c.depth + 1, t.requests - coalesce((SELECT bit_count(p.decided) FROM batchd.shard_progress p WHERE p.shard_id = t.id), 0)
  FROM chain c JOIN batchd.shard t ON t.id = c.trial
  WHERE c.depth = 0 OR EXISTS (SELECT FROM batchd.shard h WHERE h.id = c.id AND h.state = 'finished' AND h.finish_reason = 'refused')
)
SELECT s.suspect_since IS NOT NULL AS halved, s.trial IS NOT NULL AS tried, coalesce(t.state, 'closed') AS state,
       coalesce(t.finish_reason, 'given_up') AS reason, t.accepted_at IS NOT NULL AS accepted, c.undecided, c.depth,
       EXISTS (SELECT FROM batchd.shard a WHERE a.deployment = s.deployment AND a.endpoint = s.endpoint
                 AND a.accepted_at > coalesce(s.suspect_since, s.finished_at)) AS lane_works,
       EXISTS (SELECT FROM batchd.shard o WHERE o.state = 'finished' AND o.state <> 'closed' AND o.finish_reason = 'refused' AND o.id <> s.id
                 AND o.deployment = s.deployment AND o.endpoint = s.endpoint AND o.suspect_since IS NOT NULL
                 AND o.requests - coalesce((SELECT bit_count(p.decided) FROM batchd.shard_progress p WHERE p.shard_id = o.id), 0) = 1)
         AS other_suspect
FROM batchd.shard s
CROSS JOIN LATERAL (SELECT id, undecided, depth FROM chain ORDER BY depth DESC LIMIT 1) c
LEFT JOIN batchd.shard t ON t.id = c.id AND c.depth > 0
WHERE s.id = $1::bigint;

-- name: may_number
-- Whether a new shard of a shard's provider may be given a number: not while there may be forgotten ones that have it.
SELECT batchd.is_trusted(s.provider) FROM batchd.shard s WHERE s.id = $1::bigint;

-- name: split_shard
-- A new shard of the same lane for some of a shard's requests, $2 of them; a trial is remembered as such.
WITH part AS (
  INSERT INTO batchd.shard (model, endpoint, deployment, provider, priority, deadline, requests, bytes, tokens, suspect_since)
  SELECT s.model, s.endpoint, s.deployment, s.provider, s.priority, s.deadline, $2::bigint, s.bytes * $2::bigint / s.requests,
         s.tokens * $2::bigint / s.requests, CASE WHEN $3::boolean THEN coalesce(s.suspect_since, s.finished_at) END
  FROM batchd.shard s WHERE s.id = $1::bigint RETURNING id
), parent AS (
  UPDATE batchd.shard s SET trial = part.id, suspect_since = coalesce(s.suspect_since, s.finished_at) FROM part
  WHERE s.id = $1::bigint AND $3::boolean
)
SELECT id FROM part;

-- name: split_members
-- Gives the new shard $2 those members of shard $1 that lie in the ranges $3.
INSERT INTO batchd.shard_member (shard_id, ordinal, flow, first_id, last_id, members, requests)
SELECT $2::bigint, m.ordinal, m.flow, lower(m.part), upper(m.part) - 1, m.part,
       (SELECT sum(upper(r) - lower(r)) FROM unnest(m.part) AS u (r))
FROM (SELECT ordinal, flow, members * $3::int8multirange AS part FROM batchd.shard_member WHERE shard_id = $1::bigint) m
WHERE NOT isempty(m.part);

-- name: file_ceiling_reached
-- A provider takes no more files for now.
INSERT INTO batchd.file_ceiling (provider, reached_at) VALUES ($1, clock_timestamp())
ON CONFLICT (provider) DO UPDATE SET reached_at = excluded.reached_at;

-- name: hurry_deletions
-- Makes the oldest shards due whose files wait there to be deleted.
UPDATE batchd.shard SET due_at = clock_timestamp()
WHERE id IN (SELECT id FROM batchd.shard WHERE state = 'merged' AND state <> 'closed' AND provider = $1 ORDER BY id LIMIT 50);
