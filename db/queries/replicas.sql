-- Replicas, roles, the instance and what is configured.

-- name: join_replica
-- Registers a replica under a fresh term: no row when the term is taken. Tells in which instance it begins.
INSERT INTO batchd.replica (term, host, pid, version) VALUES ($1::bigint, $2, $3::bigint, $4) ON CONFLICT DO NOTHING
RETURNING coalesce((SELECT i.id FROM batchd.instance i), '');

-- name: release_shards
-- Gives back every shard a replica leases.
UPDATE batchd.shard SET owner = NULL WHERE owner = $1::bigint;

-- name: release_roles
-- Gives back every role a replica holds.
UPDATE batchd.role SET owner = NULL WHERE owner = $1::bigint;

-- name: remove_replica
-- Ends a term.
DELETE FROM batchd.replica WHERE term = $1::bigint;

-- name: mend_clock
-- Notices that the database's clock was set, and moves along what it had dated; by how many milliseconds, 0 nearly always.
SELECT (1000 * extract(epoch FROM batchd.mend_clock($1::bigint * interval '1 ms', nullif($2::bigint, -1) * interval '1 ms')))::bigint;

-- name: bury_dead
-- Ends the terms of replicas that have not been heard of for so many milliseconds; what they held is free by that alone.
DELETE FROM batchd.replica WHERE heartbeat_at < clock_timestamp() - $1::bigint * interval '1 ms';

-- name: holds_role
-- Whether a living term holds a role already: the usual case, and it writes nothing.
SELECT FROM batchd.role r JOIN batchd.replica p ON p.term = r.owner WHERE r.name = $2 AND r.owner = $1::bigint;

-- name: take_role
-- Takes a role that nobody alive holds.
INSERT INTO batchd.role AS r (name, owner) SELECT $2, p.term FROM batchd.replica p WHERE p.term = $1::bigint
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner
WHERE r.owner IS NULL OR r.owner = excluded.owner OR NOT EXISTS (SELECT FROM batchd.replica o WHERE o.term = r.owner)
RETURNING name;

-- name: drop_role
-- Gives back one role.
UPDATE batchd.role SET owner = NULL WHERE name = $2 AND owner = $1::bigint;

-- name: instance_id
-- The id that stands in every remote name.
SELECT id FROM batchd.instance;

-- name: has_moved
-- Whether this database is visibly not where its instance was made or adopted.
SELECT batchd.has_moved();

-- name: next_generation
-- The number of the configuration that is being published; one publisher at a time, and none whose term is void.
SELECT coalesce(max(d.generation), 0) + 1 FROM pg_advisory_xact_lock(hashtext('batchd.publish')) LEFT JOIN batchd.deployment d ON true
HAVING EXISTS (SELECT FROM batchd.replica p WHERE p.term = $1::bigint);

-- name: publish_deployment
-- Makes a deployment part of the newest configuration; what it has reserved and why it is paused stay, and what was learnt of its quota
-- unless that is configured otherwise now.
INSERT INTO batchd.deployment AS d (name, provider, model, enqueued_token_limit, dynamic_token_limit, generation, configured)
VALUES ($1, $2, $3, $4::bigint, $6::bigint, $5::bigint, true)
ON CONFLICT (name) DO UPDATE SET provider = excluded.provider, model = excluded.model,
  enqueued_token_limit = excluded.enqueued_token_limit, dynamic_token_limit = excluded.dynamic_token_limit,
  generation = excluded.generation, configured = true,
  room_believed = CASE WHEN (d.enqueued_token_limit, d.dynamic_token_limit) = (excluded.enqueued_token_limit, excluded.dynamic_token_limit)
                       THEN d.room_believed END,
  room_told = CASE WHEN (d.enqueued_token_limit, d.dynamic_token_limit) = (excluded.enqueued_token_limit, excluded.dynamic_token_limit)
                   THEN d.room_told END;

-- name: retire_deployments
-- Deployments that the newest configuration does not name: nothing new goes there, what is there is finished.
UPDATE batchd.deployment SET configured = false WHERE generation < $1::bigint AND configured;

-- name: pause_deployment
-- Stops new submissions for so many milliseconds, 0 for until resumed. A pause under way stays; one that follows the last one
-- soon is twice as long as that, up to $4.
UPDATE batchd.deployment d
SET paused_until = CASE WHEN $3::bigint = 0 THEN 'infinity' ELSE clock_timestamp() + n.length END, paused_for = n.length, pause_reason = $2
FROM (SELECT name, CASE WHEN clock_timestamp() < paused_until + 2 * paused_for
                        THEN least(2 * paused_for, greatest($3::bigint, $4::bigint) * interval '1 ms')
                        ELSE $3::bigint * interval '1 ms' END AS length FROM batchd.deployment) n
WHERE d.name = $1 AND n.name = d.name AND ($3::bigint = 0 OR NOT coalesce(d.paused_until > clock_timestamp(), false))
  AND EXISTS (SELECT FROM batchd.replica p WHERE p.term = $5::bigint);

-- name: lift_account_pauses
-- Ends what failures of a provider's account have paused, or had paused until a moment ago; a person's pause stays.
UPDATE batchd.deployment SET paused_until = NULL, pause_reason = NULL WHERE provider = $1 AND pause_reason = 'account' RETURNING name;

-- name: hurry_shards
-- Makes due what waits after a failure. The lease is not touched: a step under way sets its own time when it is saved.
UPDATE batchd.shard SET due_at = clock_timestamp()
WHERE deployment = $1 AND state <> 'closed' AND failures > 0 AND due_at > clock_timestamp();
