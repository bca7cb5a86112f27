-- oldest-program: 1
-- Answers that were paid for and are lost with the commits that held them: nothing is bought again before a person says so.

CREATE INDEX stray_lost ON batchd.stray (provider, found_at) WHERE kind = 'lost';

-- A batch whose answers are lost and whose requests nobody can tell: they may be any of those that wait. Where its shard is known, only
-- that shard waits. Over once a person has accepted the loss.
CREATE FUNCTION batchd.is_open_loss(t batchd.stray) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.kind = 'lost' AND t.found_at > coalesce((SELECT i.loss_accepted FROM batchd.instance i), '-infinity')
         AND NOT EXISTS (SELECT FROM batchd.shard s WHERE s.id = t.shard_id AND s.batch_id = t.batch_id);
$$;

-- Whether requests may be bound to shards and batches submitted at a provider: the books agree with its list, as far as anybody knows,
-- and no answers are known to be lost of which the requests cannot be told.
CREATE OR REPLACE FUNCTION batchd.is_trusted(of_provider text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT NOT batchd.is_rewound() AND NOT EXISTS (SELECT FROM batchd.unmatched u WHERE u.provider = of_provider)
         AND NOT EXISTS (SELECT FROM batchd.stray t WHERE t.provider = of_provider AND t.kind = 'lost' AND batchd.is_open_loss(t));
$$;

-- What was lost may be sent, and paid for, again: the requests of the shards whose answers are gone are decided as usual, and submissions
-- go on. Returns how many shards and batches that concerns.
CREATE FUNCTION batchd.accept_loss(OUT shards bigint, OUT batches bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  WITH due AS (
    UPDATE batchd.shard s SET due_at = clock_timestamp()
    WHERE s.state IN ('submitted', 'finished') AND s.state <> 'closed' AND s.failures > 0 AND batchd.is_doubtful(s) RETURNING s.id
  )
  SELECT count(*) INTO shards FROM due;
  SELECT count(*) INTO batches FROM batchd.stray t WHERE t.kind = 'lost' AND batchd.is_open_loss(t);
  UPDATE batchd.instance SET loss_accepted = clock_timestamp();
  PERFORM pg_notify('batchd_request', '');
END $$;

-- This is another installation than the one it was copied from: it gets a name of its own and lets go of every file and batch of the
-- original's, which are neither asked about, merged, cancelled nor deleted from here. Live shards are given up, so that a daemon
-- returns their unanswered requests to the queue at no cost; the room they had reserved is free, and the books begin anew.
-- Refused while a replica was heard of less than `silence` ago: it would go on under the old name.
CREATE OR REPLACE FUNCTION batchd.adopt_as_new_instance(silence interval, OUT instance_id text, OUT shards bigint, OUT unanswered bigint)
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
  DELETE FROM batchd.submission;
  DELETE FROM batchd.stray;
  DELETE FROM batchd.unmatched;

  instance_id := substr(replace(gen_random_uuid()::text, '-', ''), 1, 12);
  UPDATE batchd.instance SET id = instance_id, created_at = clock_timestamp(), timeline = batchd.present_timeline(), rewound_at = NULL,
    (system_identifier, database_oid) = (SELECT p.system_identifier, p.database_oid FROM batchd.present_identity() p);
END $$;

REVOKE ALL ON FUNCTION batchd.accept_loss() FROM PUBLIC;
INSERT INTO batchd.role_grant (role, privilege) VALUES ('batchd_worker', 'EXECUTE ON FUNCTION batchd.accept_loss()');
