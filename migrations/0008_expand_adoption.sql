-- oldest-program: 1
-- A database that was restored or cloned elsewhere is noticed: it must not act in the name of the one it was copied from.
-- `batchd adopt` says which of the two it is: the same installation at a new place, or another one.

-- With the server's own identifier, what tells a copy from its original: a dump that was restored, or a database made from this
-- one as a template, has another oid. A failover keeps both.
ALTER TABLE batchd.instance ADD COLUMN database_oid oid;  -- NULL when it was never stored

-- Where this database is now. system_identifier is NULL where that may not be asked, as on some managed servers.
CREATE FUNCTION batchd.present_identity(OUT system_identifier bigint, OUT database_oid oid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT d.oid INTO database_oid FROM pg_database d WHERE d.datname = current_database();
  SELECT c.system_identifier INTO system_identifier FROM pg_control_system() c;
EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function THEN
  NULL;
END $$;

-- Whether this database is visibly not where its instance was made or last adopted; nothing may be submitted then.
-- False where nobody can tell: a copy of the files themselves (a snapshot of the disk) shows no difference.
CREATE FUNCTION batchd.has_moved() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(bool_or(coalesce(i.system_identifier <> p.system_identifier, false)
                          OR coalesce(i.database_oid <> p.database_oid, false)), false)
  FROM batchd.instance i CROSS JOIN batchd.present_identity() p;
$$;

-- This is the same installation, at a new place: whatever was under way goes on. Returns whether it had moved.
CREATE FUNCTION batchd.adopt() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moved boolean := batchd.has_moved();
BEGIN
  UPDATE batchd.instance
  SET (system_identifier, database_oid) = (SELECT p.system_identifier, p.database_oid FROM batchd.present_identity() p);
  PERFORM pg_notify('batchd_request', '');
  RETURN moved;
END $$;

-- This is another installation than the one it was copied from: it gets a name of its own and lets go of every file and batch of the
-- original's, which are neither asked about, merged, cancelled nor deleted from here. Live shards are given up, so that a daemon
-- returns their unanswered requests to the queue at no cost; the room they had reserved is free.
-- Refused while a replica was heard of less than `silence` ago: it would go on under the old name.
CREATE FUNCTION batchd.adopt_as_new_instance(silence interval, OUT instance_id text, OUT shards bigint, OUT unanswered bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  alive record;
BEGIN
  -- Nobody joins or beats until this is over; a replica that slept through it finds its term void.
  LOCK TABLE batchd.replica IN SHARE ROW EXCLUSIVE MODE;
  SELECT r.host, r.pid INTO alive FROM batchd.replica r
  WHERE r.heartbeat_at > clock_timestamp() - silence ORDER BY r.heartbeat_at DESC LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'a replica of this database is alive: process % on %', alive.pid, alive.host USING ERRCODE = 'object_in_use';
  END IF;
  DELETE FROM batchd.replica;
  UPDATE batchd.role SET owner = NULL WHERE owner IS NOT NULL;

  SELECT count(*), coalesce(sum(s.requests - coalesce(bit_count(p.decided), 0)), 0) INTO shards, unanswered
  FROM batchd.shard s LEFT JOIN batchd.shard_progress p ON p.shard_id = s.id
  WHERE s.state IN ('planned', 'uploaded', 'submitted', 'finished');
  UPDATE batchd.shard SET
    state = 'finished', finish_reason = 'given_up', input_file = NULL, batch_id = NULL, batch_status = 'unknown', output_file = NULL,
    error_file = NULL, error = NULL, intent_at = NULL, looks = 0, reserved = 0, failures = 0, owner = NULL, due_at = clock_timestamp(),
    state_at = clock_timestamp(), finished_at = coalesce(finished_at, clock_timestamp())
  WHERE state IN ('planned', 'uploaded', 'submitted', 'finished');
  UPDATE batchd.shard SET state = 'closed', owner = NULL, state_at = clock_timestamp(), closed_at = clock_timestamp()
  WHERE state = 'merged';
  UPDATE batchd.shard SET input_file = NULL, output_file = NULL, error_file = NULL
  WHERE state = 'closed' AND (input_file IS NOT NULL OR output_file IS NOT NULL OR error_file IS NOT NULL);
  UPDATE batchd.deployment SET reserved = 0 WHERE reserved <> 0;

  instance_id := substr(replace(gen_random_uuid()::text, '-', ''), 1, 12);
  UPDATE batchd.instance SET id = instance_id, created_at = clock_timestamp(),
    (system_identifier, database_oid) = (SELECT p.system_identifier, p.database_oid FROM batchd.present_identity() p);
END $$;

REVOKE ALL ON FUNCTION batchd.present_identity(), batchd.has_moved(), batchd.adopt(), batchd.adopt_as_new_instance(interval) FROM PUBLIC;

UPDATE batchd.instance SET database_oid = (SELECT p.database_oid FROM batchd.present_identity() p);
