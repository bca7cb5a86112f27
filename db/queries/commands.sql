-- What the commands order and ask for: cancel, retry, pause, resume, batches, doctor, adopt.

-- name: knows_job
-- Whether requests of a job are kept.
SELECT EXISTS (SELECT FROM batchd.request WHERE job = $1);

-- name: cancel_job
-- Cancels what is not settled of a job.
SELECT batchd.cancel_job($1);

-- name: may_see_wishes
-- A producer may cancel and not look behind the scenes.
SELECT has_table_privilege('batchd.cancel_wish', 'SELECT');

-- name: wishes_made
-- How many requests this transaction has wished to cancel while they were in flight.
SELECT count(*) FROM batchd.cancel_wish
WHERE xmin::text::bigint = pg_current_xact_id()::text::numeric % 4294967296;

-- name: cancel_request
-- Cancels one request.
SELECT batchd.cancel_request($1::bigint);

-- name: retry_job
-- Queues what was settled without success of a job again.
SELECT batchd.retry_job($1);

-- name: retry_request
-- Queues one request again.
SELECT batchd.retry_request($1::bigint);

-- name: is_paused
-- Whether somebody has paused that very scope.
SELECT EXISTS (SELECT FROM batchd.pause WHERE scope = $1);

-- name: pause
-- Stops new submissions of a scope.
SELECT batchd.pause($1);

-- name: resume
-- Lets submissions of a scope go on; false when nothing was paused.
SELECT batchd.resume($1);

-- name: pauses
-- Everything that is paused, by request and by batchd itself, the oldest first. `until` is NULL when nothing but an order ends it.
SELECT scope, to_char(paused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since, NULL AS until, 'asked' AS reason
FROM batchd.pause
UNION ALL
SELECT 'deployment:' || name, NULL,
       CASE WHEN isfinite(paused_until) THEN to_char(paused_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END,
       coalesce(pause_reason, 'unknown')
FROM batchd.deployment WHERE paused_until > clock_timestamp()
ORDER BY since NULLS LAST, scope;

-- name: deployment_names
-- Deployments that replicas have published, those no longer configured included.
SELECT name FROM batchd.deployment ORDER BY name;

-- name: shard_lines
-- Shards that are not closed, of one deployment or ('') of all, oldest first.
SELECT id, state, deployment, provider, model, attempt, requests, batch_id, batch_status,
       extract(epoch FROM clock_timestamp() - state_at)::bigint AS age,
       intent_at IS NOT NULL AS answer_unknown, input_file, coalesce(error, '') AS error
FROM batchd.shard WHERE state <> 'closed' AND ($1 = '' OR deployment = $1) ORDER BY id LIMIT $2::int;

-- name: shards_of_batches
-- The shards that know one of these batches.
SELECT batch_id, id, attempt, state FROM batchd.shard WHERE batch_id IS NOT NULL AND batch_id = ANY ($1::text[]);

-- name: server_facts
-- What a database server is, and how it keeps what it confirms.
SELECT current_setting('server_version'), current_setting('server_version_num')::int, pg_is_in_recovery(),
       current_setting('default_transaction_read_only') = 'on', current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',
       current_user::text;

-- name: default_synchronous_commit
-- How this session's transactions would be confirmed if they said nothing; transaction_settings() says something.
SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit';

-- name: clock
-- The database's clock, in milliseconds since 1970.
SELECT (1000 * extract(epoch FROM clock_timestamp()))::bigint;

-- name: instance_state
-- This installation's name, and whether the database is visibly not where it was.
SELECT id, batchd.has_moved() FROM batchd.instance;

-- name: replica_lines
-- Replicas that were heard of, the latest first.
SELECT host, pid, version, (1000 * extract(epoch FROM clock_timestamp() - heartbeat_at))::bigint AS silent_ms
FROM batchd.replica ORDER BY heartbeat_at DESC LIMIT 1000;

-- name: deployment_lines
-- Deployments with what they hold and why they submit nothing.
SELECT d.name, d.provider, d.configured, d.enqueued_token_limit, d.reserved,
       CASE WHEN EXISTS (SELECT FROM batchd.pause w WHERE w.scope IN ('all', 'deployment:' || d.name)) THEN 'asked'
            WHEN d.paused_until > clock_timestamp() THEN coalesce(d.pause_reason, 'unknown') ELSE '' END,
       coalesce(d.room_believed, d.enqueued_token_limit)
FROM batchd.deployment d ORDER BY d.name;

-- name: known_files
-- Files at a provider that shards know of.
SELECT f.id FROM batchd.shard s CROSS JOIN LATERAL (VALUES (s.input_file), (s.output_file), (s.error_file)) AS f (id)
WHERE s.provider = $1 AND f.id IS NOT NULL LIMIT $2::int;

-- name: may_use_schema
-- Whether this user may look into the schema at all.
SELECT has_schema_privilege('batchd', 'USAGE');

-- name: waiting_by_lane
-- What waits for each model and endpoint, announced and not yet rolled up included; since when, in seconds.
SELECT model, endpoint, sum(waiting)::bigint AS waiting, coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0)::bigint AS seconds
FROM (
  SELECT f.model, f.endpoint, f.queued + f.returned AS waiting,
         least(CASE WHEN f.queued > 0 THEN greatest(f.waiting_since, c.waiting_since) END,
               (SELECT y.due_at FROM batchd.retry y WHERE y.flow = f.flow AND y.due_at <= statement_timestamp()
                ORDER BY y.flow, y.due_at LIMIT 1)) AS since
  FROM batchd.flow f LEFT JOIN batchd.flow_cursor c USING (flow) WHERE f.queued > 0 OR f.returned > 0
  UNION ALL
  SELECT d.model, d.endpoint, d.queued + d.returned, CASE WHEN d.queued + d.returned > 0 THEN d.at END
  FROM batchd.delta d WHERE d.queued <> 0 OR d.returned <> 0
) counted
GROUP BY model, endpoint HAVING sum(waiting) > 0 ORDER BY model, endpoint;

-- name: adopt
-- The same installation goes on at this place; whether it had moved.
SELECT batchd.adopt();

-- name: adopt_as_new_instance
-- Another installation than the one it was copied from.
SELECT instance_id, shards, unanswered FROM batchd.adopt_as_new_instance($1::bigint * interval '1 ms');

-- name: accept_loss
-- What was lost with its commits may be paid for again.
SELECT shards, batches FROM batchd.accept_loss();

-- name: lost_batches
-- Batches that ran, whose requests cannot be told any more; nobody has said yet that they may be paid for again.
SELECT t.provider, t.batch_id, coalesce(t.total, 0), coalesce(to_char(t.batch_created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), '')
FROM batchd.stray t WHERE t.kind = 'lost' AND batchd.is_open_loss(t) ORDER BY t.batch_created_at, t.batch_id;

-- name: lost_shards
-- Shards older than a loss of commits whose answers the provider does not have any more, likewise.
SELECT s.provider, coalesce(s.batch_id, ''), s.requests - coalesce((SELECT bit_count(p.decided) FROM batchd.shard_progress p WHERE p.shard_id = s.id), 0),
       coalesce(to_char(s.submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), '')
FROM batchd.shard s
WHERE s.state IN ('submitted', 'finished') AND s.state <> 'closed' AND s.failures > 0 AND s.error IS NOT NULL AND batchd.is_doubtful(s)
  AND s.error::json->>'code' = 'answers_lost' ORDER BY s.id;

-- name: missing_grants
-- Those of the objects that this user may not use as said: a table's privileges, a sequence's, or to call a function.
SELECT kind || ' ' || name || ': ' || privilege
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (kind, name, privilege)
WHERE NOT coalesce(CASE kind WHEN 'table' THEN has_table_privilege(to_regclass(name), privilege)
                             WHEN 'sequence' THEN has_sequence_privilege(to_regclass(name), privilege)
                             WHEN 'function' THEN has_function_privilege(to_regprocedure(name), privilege) END, false);

-- name: worker_membership
-- Whether the role is there, and whether this user has what it grants.
SELECT to_regrole('batchd_worker') IS NOT NULL, coalesce(pg_has_role(to_regrole('batchd_worker'), 'USAGE'), false);
