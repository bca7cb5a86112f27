-- oldest-program: 1
-- What the replicas' upkeep remembers: when each provider's files were looked through, and where the database's clock stood.

-- When a provider's files are to be looked through for uploads that no shard knows of.
CREATE TABLE batchd.orphan_search (
  provider     text COLLATE "C" PRIMARY KEY,
  due_at       timestamptz NOT NULL,
  suspected_at timestamptz NOT NULL  -- when something last happened that may leave such a file behind
) WITH (fillfactor = 50);

-- The latest moment that the database's clock has shown to a replica.
CREATE TABLE batchd.clock (
  one     boolean PRIMARY KEY DEFAULT true CHECK (one),
  seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);
INSERT INTO batchd.clock (seen_at) VALUES (clock_timestamp());

-- Notices that the database's clock was set, and moves along what it had dated, so that nothing waits for the hours by which it was
-- set back, and nobody is taken for dead because it was set forward. `since` is how long ago the caller called last by its own
-- clock, NULL when it does so for the first time: it tells a step forward from a time in which nobody called.
-- Returns the step, zero when there was none.
CREATE FUNCTION batchd.mend_clock(ttl interval, since interval) RETURNS interval
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  seen timestamptz;
  present timestamptz;
  back interval;
BEGIN
  SELECT c.seen_at INTO seen FROM batchd.clock c FOR NO KEY UPDATE;
  present := clock_timestamp();  -- only now: the lock may have been waited for
  UPDATE batchd.clock SET seen_at = present;
  IF present - seen > since + ttl THEN
    -- Everybody's heartbeat looks old. Who is dead will be so again after another ttl.
    UPDATE batchd.replica SET heartbeat_at = present;
    RETURN present - seen - since;
  END IF;
  back := seen - present + coalesce(since, interval '0');
  IF seen - present < interval '1 s' THEN
    RETURN interval '0';
  END IF;
  -- Whatever lies ahead was dated before the step. Delays that were meant to end later keep what is left of them.
  UPDATE batchd.replica SET heartbeat_at = present WHERE heartbeat_at > present;
  UPDATE batchd.shard SET due_at = CASE WHEN due_at > present THEN greatest(due_at - back, present) ELSE due_at END,
    intent_at = CASE WHEN intent_at > present THEN intent_at - back ELSE intent_at END,
    state_at = CASE WHEN state_at > present THEN state_at - back ELSE state_at END
  WHERE state <> 'closed' AND (due_at > present OR intent_at > present OR state_at > present);
  UPDATE batchd.deployment SET paused_until = paused_until - back WHERE paused_until > present AND isfinite(paused_until);
  UPDATE batchd.delta SET at = at - back WHERE at > present;
  UPDATE batchd.flow SET waiting_since = waiting_since - back WHERE waiting_since > present;
  UPDATE batchd.flow_cursor SET waiting_since = waiting_since - back WHERE waiting_since > present;
  UPDATE batchd.file_ceiling SET reached_at = reached_at - back WHERE reached_at > present;
  UPDATE batchd.orphan_search SET due_at = present WHERE due_at > present;
  -- There may be millions; those beyond the bound come when their old time does.
  UPDATE batchd.retry SET due_at = greatest(due_at - back, present)
  WHERE ctid = ANY (ARRAY(SELECT ctid FROM batchd.retry WHERE due_at > present ORDER BY due_at LIMIT 200000));
  RETURN -back;
END $$;
REVOKE ALL ON FUNCTION batchd.mend_clock(interval, interval) FROM PUBLIC;

INSERT INTO batchd.role_grant (role, privilege) VALUES
  ('batchd_worker', 'SELECT, INSERT, UPDATE ON batchd.orphan_search'),
  ('batchd_worker', 'SELECT, UPDATE ON batchd.clock'),
  ('batchd_worker', 'EXECUTE ON FUNCTION batchd.mend_clock(interval, interval)');
