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

REVOKE ALL ON FUNCTION batchd.accept_loss() FROM PUBLIC;
INSERT INTO batchd.role_grant (role, privilege) VALUES ('batchd_worker', 'EXECUTE ON FUNCTION batchd.accept_loss()');
