-- oldest-program: 1
-- The two steps that work on sets too large to carry to the daemon and back: rolling up counters, binding requests to shards.

-- Folds up to `most` deltas into the counters, one caller at a time; returns how many. Tells `batchd_job` about each job
-- that has nothing unsettled any more.
CREATE FUNCTION batchd.fold(most int DEFAULT 20000) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  folded bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM batchd.delta) THEN
    UPDATE batchd.hint SET armed = true WHERE NOT armed;
    RETURN 0;
  END IF;
  IF NOT pg_try_advisory_xact_lock(hashtext('batchd.fold')) THEN
    RETURN 0;
  END IF;
  UPDATE batchd.hint SET armed = false WHERE armed;
  WITH taken AS (
    DELETE FROM batchd.delta WHERE ctid = ANY (ARRAY(SELECT ctid FROM batchd.delta LIMIT most)) RETURNING *
  ), flows AS (
    INSERT INTO batchd.flow AS f (flow, model, endpoint, job, priority, deadline, queued, queued_bytes, returned, waiting_since)
    SELECT flow, min(model), min(endpoint), min(job), min(priority), min(deadline),
           sum(queued), sum(queued_bytes), sum(returned), CASE WHEN sum(queued) > 0 THEN min(at) FILTER (WHERE queued > 0) END
    FROM taken GROUP BY flow
    ON CONFLICT (flow) DO UPDATE SET
      queued = f.queued + excluded.queued, queued_bytes = f.queued_bytes + excluded.queued_bytes,
      returned = f.returned + excluded.returned,
      waiting_since = CASE WHEN f.queued + excluded.queued <= 0 THEN NULL
                           ELSE coalesce(f.waiting_since, excluded.waiting_since, clock_timestamp()) END
  ), jobs AS (
    INSERT INTO batchd.job_count AS j (job, accepted, queued, in_flight, succeeded, failed, cancelled, expired,
                                       input_tokens, output_tokens, first_at, last_at)
    SELECT job, sum(accepted), sum(queued + returned), sum(in_flight), sum(succeeded), sum(failed), sum(cancelled), sum(expired),
           sum(input_tokens), sum(output_tokens), min(at), max(at) FILTER (WHERE succeeded + failed + cancelled + expired > 0)
    FROM taken GROUP BY job
    ON CONFLICT (job) DO UPDATE SET
      accepted = j.accepted + excluded.accepted, queued = j.queued + excluded.queued,
      in_flight = j.in_flight + excluded.in_flight, succeeded = j.succeeded + excluded.succeeded,
      failed = j.failed + excluded.failed, cancelled = j.cancelled + excluded.cancelled, expired = j.expired + excluded.expired,
      input_tokens = j.input_tokens + excluded.input_tokens, output_tokens = j.output_tokens + excluded.output_tokens,
      first_at = least(j.first_at, excluded.first_at), last_at = greatest(j.last_at, excluded.last_at)
    RETURNING job, queued, in_flight
  ), totals AS (
    UPDATE batchd.total t SET
      accepted = t.accepted + s.accepted, queued = t.queued + s.queued, in_flight = t.in_flight + s.in_flight,
      succeeded = t.succeeded + s.succeeded, failed = t.failed + s.failed, cancelled = t.cancelled + s.cancelled,
      expired = t.expired + s.expired
    FROM (SELECT sum(accepted) AS accepted, sum(queued + returned) AS queued, sum(in_flight) AS in_flight,
                 sum(succeeded) AS succeeded, sum(failed) AS failed, sum(cancelled) AS cancelled, sum(expired) AS expired
          FROM taken) s
    WHERE s.accepted IS NOT NULL
  ), told AS (
    SELECT pg_notify('batchd_job', json_build_object('job', job)::text) FROM jobs
    WHERE queued = 0 AND in_flight = 0
      AND job IN (SELECT t.job FROM taken t WHERE t.succeeded + t.failed + t.cancelled + t.expired > 0)
  )
  SELECT (SELECT count(*) FROM taken) + 0 * (SELECT count(*) FROM told) INTO folded;
  RETURN folded;
END $$;

-- What a claim took: ids, how many, their bytes, and whether a limit cut it short.
CREATE TYPE batchd.taken AS (members int8multirange, requests bigint, bytes bigint, xact xid8, id bigint, cut boolean);

-- Takes queued rows of a flow with (after_xact, after_id) < (xact, id) and xact < before, in that order, while they fit.
-- A first row that does not fit is taken all the same when `alone` says that it would be.
-- Plans are fixed to the index: statistics of a queue are never up to date.
CREATE FUNCTION batchd.take_queued(of_flow bigint, after_xact xid8, after_id bigint, before xid8, room_requests bigint,
                                   room_bytes bigint, extra int, alone boolean) RETURNS batchd.taken
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  result batchd.taken;
BEGIN
  WITH next AS MATERIALIZED (
    SELECT q.ctid AS place, q.xact, q.id, row_number() OVER w AS n, sum(q.bytes + extra) OVER w AS upto
    FROM (SELECT ctid, xact, id, bytes FROM batchd.queue
          WHERE flow = of_flow AND (xact, id) > (after_xact, after_id) AND xact < before
          ORDER BY flow, xact, id LIMIT room_requests) q
    WINDOW w AS (ORDER BY q.xact, q.id ROWS UNBOUNDED PRECEDING)
  ), gone AS (
    DELETE FROM batchd.queue
    WHERE ctid = ANY (ARRAY(SELECT place FROM next WHERE upto <= room_bytes OR (alone AND n = 1)))
    RETURNING id, bytes
  ), last AS (
    SELECT xact, id, n FROM next WHERE upto <= room_bytes OR (alone AND n = 1) ORDER BY n DESC LIMIT 1
  )
  SELECT g.members, g.requests, coalesce(g.bytes, 0), l.xact, l.id,
         s.seen >= room_requests OR s.seen > coalesce(l.n, 0)
  INTO result
  FROM (SELECT range_agg(int8range(id, id, '[]')) AS members, count(*) AS requests, sum(bytes) AS bytes FROM gone) g
  CROSS JOIN (SELECT count(*) AS seen FROM next) s
  LEFT JOIN last l ON true;
  RETURN result;
END $$;

-- The same for returned rows that are due, in the order of their due times.
CREATE FUNCTION batchd.take_returned(of_flow bigint, due timestamptz, room_requests bigint, room_bytes bigint, extra int,
                                     alone boolean) RETURNS batchd.taken
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  result batchd.taken;
BEGIN
  WITH next AS MATERIALIZED (
    SELECT r.ctid AS place, row_number() OVER w AS n, sum(r.bytes + extra) OVER w AS upto
    FROM (SELECT ctid, due_at, request_id, bytes FROM batchd.retry
          WHERE flow = of_flow AND due_at <= due ORDER BY flow, due_at, request_id LIMIT room_requests) r
    WINDOW w AS (ORDER BY r.due_at, r.request_id ROWS UNBOUNDED PRECEDING)
  ), gone AS (
    DELETE FROM batchd.retry
    WHERE ctid = ANY (ARRAY(SELECT place FROM next WHERE upto <= room_bytes OR (alone AND n = 1)))
    RETURNING request_id, bytes
  )
  SELECT g.members, g.requests, coalesce(g.bytes, 0), NULL, NULL, s.seen >= room_requests OR s.seen > s.fit
  INTO result
  FROM (SELECT range_agg(int8range(request_id, request_id, '[]')) AS members, count(*) AS requests, sum(bytes) AS bytes
        FROM gone) g
  CROSS JOIN (SELECT count(*) AS seen, count(*) FILTER (WHERE upto <= room_bytes OR (alone AND n = 1)) AS fit FROM next) s;
  RETURN result;
END $$;

-- Takes what a flow's queue holds beyond its cursor, advances the cursor, and returns what was taken.
--
-- Everything is seen as of `snap`, which was taken before any row was read: a transaction that ran then and has passed the
-- cursor's place is remembered in open_xacts, and its rows are taken by themselves once it has ended. Rows of transactions
-- that began after `snap` are left for the next time, for they could let the cursor pass others unseen.
CREATE FUNCTION batchd.take_flow(of_flow bigint, snap pg_snapshot, room_requests bigint, room_bytes bigint, extra int,
                                 alone boolean) RETURNS batchd.taken
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place batchd.flow_cursor;
  before xid8 := pg_snapshot_xmax(snap);
  step batchd.taken;
  total batchd.taken := ROW('{}', 0, 0, NULL, NULL, false);
  open_xacts xid8[] := '{}';
  open_ids bigint[] := '{}';
  last_id bigint;
  next_row record;
BEGIN
  SELECT * INTO place FROM batchd.flow_cursor WHERE flow = of_flow;
  -- No cursor yet, or one of another life of this database (a dump restored elsewhere counts transactions anew): from the start.
  IF NOT FOUND OR place.xact >= before THEN
    place := ROW(of_flow, '0', 0, '{}', '{}', clock_timestamp());
  END IF;
  FOR i IN 1 .. cardinality(place.open_xacts) LOOP
    last_id := place.open_ids[i];
    IF NOT total.cut AND pg_visible_in_snapshot(place.open_xacts[i], snap) THEN
      step := batchd.take_queued(of_flow, place.open_xacts[i], last_id, (place.open_xacts[i]::text::numeric + 1)::text::xid8,
                                 room_requests - total.requests, room_bytes - total.bytes - total.requests * extra, extra,
                                 alone AND total.requests = 0);
      total.members := total.members + coalesce(step.members, '{}');
      total.requests := total.requests + step.requests;
      total.bytes := total.bytes + step.bytes;
      total.cut := step.cut;
      CONTINUE WHEN NOT step.cut;
      last_id := coalesce(step.id, last_id);
    END IF;
    open_xacts := open_xacts || place.open_xacts[i];
    open_ids := open_ids || last_id;
  END LOOP;
  IF NOT total.cut THEN
    step := batchd.take_queued(of_flow, place.xact, place.id, before, room_requests - total.requests,
                               room_bytes - total.bytes - total.requests * extra, extra, alone AND total.requests = 0);
    total.members := total.members + coalesce(step.members, '{}');
    total.requests := total.requests + step.requests;
    total.bytes := total.bytes + step.bytes;
    total.cut := step.cut;
    IF step.xact IS NOT NULL THEN
      SELECT open_xacts || coalesce(array_agg(x), '{}'), open_ids || coalesce(array_agg(0::bigint), '{}')
      INTO open_xacts, open_ids
      FROM pg_snapshot_xip(snap) AS x WHERE x > place.xact AND x < step.xact;
      place.xact := step.xact;
      place.id := step.id;
    END IF;
  END IF;
  IF total.requests = 0 AND open_xacts = place.open_xacts THEN
    RETURN total;
  END IF;
  place.waiting_since := clock_timestamp();
  IF total.cut THEN
    SELECT q.id INTO next_row FROM batchd.queue q
    WHERE q.flow = of_flow AND (q.xact, q.id) > (place.xact, place.id) ORDER BY q.flow, q.xact, q.id LIMIT 1;
    IF FOUND THEN
      SELECT coalesce(min(r.created_at), place.waiting_since) INTO place.waiting_since FROM batchd.request r WHERE r.id = next_row.id;
    END IF;
  END IF;
  INSERT INTO batchd.flow_cursor AS c (flow, xact, id, open_xacts, open_ids, waiting_since)
  VALUES (of_flow, place.xact, place.id, open_xacts, open_ids, place.waiting_since)
  ON CONFLICT (flow) DO UPDATE SET xact = excluded.xact, id = excluded.id, open_xacts = excluded.open_xacts,
                                   open_ids = excluded.open_ids, waiting_since = excluded.waiting_since;
  RETURN total;
END $$;

-- Binds the next requests of these flows, in this order, to a new shard of a deployment, up to every limit.
-- No row when `by_term` does not hold the role `plan`, the deployment is not configured, or nothing was there.
CREATE FUNCTION batchd.plan_shard(by_term bigint, lane_model text, lane_endpoint text, to_deployment text, flows bigint[],
                                  max_requests bigint, max_bytes bigint, extra int, tokens_per_byte double precision)
RETURNS TABLE (shard bigint, members bigint, file_bytes bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  snap pg_snapshot;
  to_provider text;
  shard_id bigint;
  source batchd.flow;
  returned batchd.taken;
  queued batchd.taken;
  total_requests bigint := 0;
  total_bytes bigint := 0;  -- of the file
  top_priority int;
  first_deadline timestamptz;
  ordinal int := 0;
  chunks int;
BEGIN
  PERFORM FROM batchd.role WHERE name = 'plan' AND owner = by_term FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT d.provider INTO to_provider FROM batchd.deployment d WHERE d.name = to_deployment AND d.configured;
  IF NOT FOUND THEN RETURN; END IF;
  snap := pg_current_snapshot();
  shard_id := nextval('batchd.shard_id');
  FOR source IN SELECT f.* FROM unnest(flows) WITH ORDINALITY AS o (flow, place) JOIN batchd.flow f USING (flow)
                WHERE f.model = lane_model AND f.endpoint = lane_endpoint ORDER BY o.place LOOP
    returned := batchd.take_returned(source.flow, clock_timestamp(), max_requests - total_requests, max_bytes - total_bytes, extra,
                                     total_requests = 0);
    total_requests := total_requests + returned.requests;
    total_bytes := total_bytes + returned.bytes + returned.requests * extra;
    queued := ROW('{}', 0, 0, NULL, NULL, returned.cut);
    IF NOT returned.cut THEN
      queued := batchd.take_flow(source.flow, snap, max_requests - total_requests, max_bytes - total_bytes, extra, total_requests = 0);
      total_requests := total_requests + queued.requests;
      total_bytes := total_bytes + queued.bytes + queued.requests * extra;
    END IF;
    IF returned.requests + queued.requests > 0 THEN
      INSERT INTO batchd.shard_member (shard_id, ordinal, flow, first_id, last_id, members, requests)
      SELECT shard_id, ordinal + (o - 1) / 1024, source.flow, min(lower(r)), max(upper(r)) - 1, range_agg(r), sum(upper(r) - lower(r))
      FROM unnest(coalesce(returned.members, '{}') + queued.members) WITH ORDINALITY AS u (r, o) GROUP BY (o - 1) / 1024;
      GET DIAGNOSTICS chunks = ROW_COUNT;
      ordinal := ordinal + chunks;
      INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, queued, queued_bytes, returned, in_flight)
      VALUES (source.flow, source.model, source.endpoint, source.job, source.priority, source.deadline,
              -queued.requests, -queued.bytes, -returned.requests, queued.requests + returned.requests);
      top_priority := greatest(top_priority, source.priority);
      first_deadline := least(first_deadline, source.deadline);
    END IF;
    EXIT WHEN returned.cut OR queued.cut;
  END LOOP;
  IF total_requests = 0 THEN RETURN; END IF;
  INSERT INTO batchd.shard (id, model, endpoint, deployment, provider, priority, deadline, requests, bytes, tokens)
  VALUES (shard_id, lane_model, lane_endpoint, to_deployment, to_provider, top_priority, first_deadline, total_requests, total_bytes,
          ceil(total_bytes * tokens_per_byte)::bigint);
  RETURN QUERY SELECT shard_id, total_requests, total_bytes;
END $$;
