-- oldest-program: 1
-- What is no longer wanted as it is: cancelled requests in shards under way, shards of what a person has stopped, and files that a
-- provider refused without saying which of their requests is at fault.

ALTER TABLE batchd.shard
  ADD COLUMN wished_at     timestamptz,  -- a request in it was cancelled, and nobody has acted upon that yet
  ADD COLUMN accepted_at   timestamptz,  -- its batch was seen past the provider's validation
  ADD COLUMN trial         bigint,       -- refused without a line: the shard that half of its requests were sent in
  ADD COLUMN suspect_since timestamptz;  -- when the file was refused that it, or the shard it was cut from, had
CREATE INDEX shard_wished ON batchd.shard (id) WHERE wished_at IS NOT NULL AND state <> 'closed';
CREATE INDEX shard_accepted ON batchd.shard (deployment, accepted_at) WHERE accepted_at IS NOT NULL;

-- A wish is placed when the shard of its request knows of it.
ALTER TABLE batchd.cancel_wish ADD COLUMN placed boolean NOT NULL DEFAULT false;
CREATE INDEX cancel_wish_unplaced ON batchd.cancel_wish (request_id) WHERE NOT placed;

-- Providers that said they hold too many files: what waits to be deleted there is not kept any longer than need be.
CREATE TABLE batchd.file_ceiling (
  provider   text COLLATE "C" PRIMARY KEY,
  reached_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- How long the last pause was made for: the next one, when it follows soon, is twice as long.
ALTER TABLE batchd.deployment ADD COLUMN paused_for interval;

-- Tells the shards of up to `most` cancelled requests that are in flight; returns how many wishes it looked at.
--
-- A producer's wish becomes visible when its transaction commits, whatever its request went through meanwhile; so this looks at
-- what is committed: the request is settled, or waits to be sent again, or is in a shard, or is moving just now and seen next time.
-- A request that comes back from a shard is cancelled by whoever returns it, and one that is planned again marks its new shard.
CREATE FUNCTION batchd.place_wishes(most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ids bigint[] := ARRAY(SELECT w.request_id FROM batchd.cancel_wish w WHERE NOT w.placed ORDER BY w.request_id LIMIT most);
BEGIN
  IF cardinality(ids) = 0 THEN
    RETURN 0;
  END IF;
  DELETE FROM batchd.cancel_wish w
  WHERE w.request_id = ANY (ids) AND (EXISTS (SELECT FROM batchd.answer a WHERE a.request_id = w.request_id)
                                      OR NOT EXISTS (SELECT FROM batchd.request r WHERE r.id = w.request_id));
  PERFORM batchd.cancel_returned(ids, true);
  WITH found AS (
    SELECT w.request_id, m.shard_id
    FROM batchd.cancel_wish w
    JOIN batchd.request r ON r.id = w.request_id
    JOIN batchd.shard_member m ON m.flow = batchd.flow_of(r.model, r.endpoint, r.job, r.priority, r.deadline)
                              AND m.last_id >= w.request_id AND m.first_id <= w.request_id AND m.members @> w.request_id
    WHERE w.request_id = ANY (ids)
  ), told AS (
    UPDATE batchd.shard s SET wished_at = clock_timestamp() WHERE s.id IN (SELECT shard_id FROM found) AND s.state <> 'closed'
  )
  UPDATE batchd.cancel_wish w SET placed = true WHERE w.request_id IN (SELECT request_id FROM found);
  RETURN cardinality(ids);
END $$;

-- How many members of a shard are cancelled requests.
CREATE FUNCTION batchd.wishes_in(of_shard bigint) RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*)
  FROM batchd.shard_member m CROSS JOIN LATERAL unnest(m.members) AS u (ids)
  JOIN batchd.cancel_wish w ON w.request_id >= lower(u.ids) AND w.request_id < upper(u.ids)
  WHERE m.shard_id = of_shard AND EXISTS (SELECT FROM batchd.cancel_wish);
$$;

-- Whether a shard that is not submitted yet should be given up, so that its requests find their way without it: one of them was
-- cancelled, or it was packed for a larger quota than its deployment has now, or some but not all belong to jobs that were paused,
-- or its deployment was paused and another one serves the model.
CREATE FUNCTION batchd.is_unwanted(s batchd.shard) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.wished_at IS NOT NULL
         OR (EXISTS (SELECT FROM batchd.cancel_wish w WHERE NOT w.placed) AND batchd.wishes_in(s.id) > 0)
         OR (s.state = 'uploaded' AND EXISTS (SELECT FROM batchd.deployment d
                                              WHERE d.name = s.deployment AND d.configured AND s.tokens > d.enqueued_token_limit))
         OR (EXISTS (SELECT FROM batchd.pause)
             AND ((SELECT bool_or(p.paused) AND NOT bool_and(p.paused)
                   FROM (SELECT EXISTS (SELECT FROM batchd.pause w WHERE w.scope = 'job:' || f.job) AS paused
                         FROM batchd.shard_member m JOIN batchd.flow f USING (flow) WHERE m.shard_id = s.id) p)
                  OR (EXISTS (SELECT FROM batchd.pause w WHERE w.scope = 'deployment:' || s.deployment)
                      AND EXISTS (SELECT FROM batchd.deployment d
                                  WHERE d.model = s.model AND d.name <> s.deployment AND d.configured
                                    AND NOT EXISTS (SELECT FROM batchd.pause w WHERE w.scope IN ('all', 'deployment:' || d.name))))));
$$;

-- Cancels one request: at once when it waits; in flight, it is not sent again, and an answer that was paid for still wins.
-- False when it is settled already, or unknown.
CREATE OR REPLACE FUNCTION batchd.cancel_request(id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  of_flow bigint;
BEGIN
  SELECT batchd.flow_of(r.model, r.endpoint, r.job, r.priority, r.deadline) INTO of_flow
  FROM batchd.request r WHERE r.id = cancel_request.id AND NOT EXISTS (SELECT FROM batchd.answer a WHERE a.request_id = r.id);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF batchd.cancel_returned(ARRAY[cancel_request.id], false) + batchd.cancel_queued(ARRAY[of_flow], cancel_request.id) = 0 THEN
    INSERT INTO batchd.cancel_wish (request_id) VALUES (cancel_request.id) ON CONFLICT DO NOTHING;
    PERFORM pg_notify('batchd_request', '');
  END IF;
  RETURN true;
END $$;

-- Cancels whatever of a job is not settled; returns how many requests that concerns.
CREATE OR REPLACE FUNCTION batchd.cancel_job(job text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  flows bigint[] := batchd.flows_of_job(cancel_job.job);
  cancelled bigint;
  wished bigint;
BEGIN
  cancelled := batchd.cancel_queued(flows, NULL)
               + batchd.cancel_returned(ARRAY(SELECT request_id FROM batchd.retry WHERE flow = ANY (flows)), false);
  INSERT INTO batchd.cancel_wish (request_id)
  SELECT i FROM batchd.shard_member m CROSS JOIN LATERAL unnest(m.members) AS u (r)
  CROSS JOIN LATERAL generate_series(lower(u.r), upper(u.r) - 1) AS i
  WHERE m.flow = ANY (flows) AND NOT EXISTS (SELECT FROM batchd.answer a WHERE a.request_id = i)
    AND NOT EXISTS (SELECT FROM batchd.retry y WHERE y.request_id = i)
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS wished = ROW_COUNT;
  IF wished > 0 THEN
    PERFORM pg_notify('batchd_request', '');
  END IF;
  RETURN cancelled + wished;
END $$;

REVOKE ALL ON FUNCTION batchd.place_wishes(int) FROM PUBLIC;

-- Creates the roles when this user may, and grants each what it needs; returns the roles that are still missing.
-- `batchd migrate` calls it every time, and prints the SQL for an administrator when some are missing.
CREATE OR REPLACE FUNCTION batchd.apply_grants() RETURNS text[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wanted name;
  missing text[] := '{}';
BEGIN
  FOREACH wanted IN ARRAY ARRAY['batchd_producer', 'batchd_worker', 'batchd_reader']::name[] LOOP
    IF to_regrole(wanted) IS NULL THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION
        WHEN insufficient_privilege THEN
          missing := missing || wanted::text;
          CONTINUE;
        WHEN duplicate_object OR unique_violation THEN
          NULL;  -- another database of this server was migrated at the same moment
      END;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA batchd TO %I', wanted);
    EXECUTE format('GRANT SELECT ON batchd.schema_migration TO %I', wanted);
    CASE wanted
      WHEN 'batchd_producer' THEN
        GRANT INSERT (model, endpoint, job, key, priority, deadline, body), SELECT (id, job, key) ON batchd.request TO batchd_producer;
        GRANT USAGE ON SEQUENCE batchd.request_id TO batchd_producer;
        GRANT EXECUTE ON FUNCTION batchd.cancel_request(bigint), batchd.cancel_job(text), batchd.retry_request(bigint),
          batchd.retry_job(text), batchd.set_priority(text, int) TO batchd_producer;
      WHEN 'batchd_worker' THEN
        GRANT SELECT ON batchd.request, batchd.request_key, batchd.instance, batchd.job_progress, batchd.totals, batchd.result,
          batchd.request_status TO batchd_worker;
        GRANT SELECT, INSERT ON batchd.answer TO batchd_worker;
        GRANT SELECT, INSERT, UPDATE, DELETE ON batchd.queue, batchd.delta, batchd.hint, batchd.flow, batchd.flow_cursor, batchd.job_count,
          batchd.total, batchd.retry, batchd.request_attempt, batchd.deployment, batchd.replica, batchd.role, batchd.shard,
          batchd.shard_member, batchd.shard_progress, batchd.file_ceiling TO batchd_worker;
        GRANT USAGE ON SEQUENCE batchd.shard_id TO batchd_worker;
        GRANT SELECT ON batchd.pause TO batchd_worker;
        GRANT SELECT, DELETE ON batchd.cancel_wish TO batchd_worker;
        GRANT EXECUTE ON FUNCTION batchd.cancel_returned(bigint[], boolean), batchd.cancel_request(bigint), batchd.cancel_job(text),
          batchd.retry_request(bigint), batchd.retry_job(text), batchd.set_priority(text, int), batchd.pause(text), batchd.resume(text)
          TO batchd_worker;
        GRANT EXECUTE ON FUNCTION batchd.place_wishes(int) TO batchd_worker;
        GRANT EXECUTE ON FUNCTION batchd.has_moved(), batchd.adopt(), batchd.adopt_as_new_instance(interval) TO batchd_worker;
        GRANT EXECUTE ON FUNCTION batchd.make_partitions(int), batchd.retire_partition(interval), batchd.retire_shards(interval)
          TO batchd_worker;
      WHEN 'batchd_reader' THEN
        GRANT SELECT ON batchd.request, batchd.result, batchd.result_history, batchd.request_status, batchd.job_progress, batchd.totals
          TO batchd_reader;
    END CASE;
  END LOOP;
  RETURN missing;
END $$;
