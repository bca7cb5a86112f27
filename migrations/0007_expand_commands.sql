-- oldest-program: 1
-- What people ask for while work is under way: cancel, try again, go first, stop for a while. All of it is SQL, so that it works
-- from psql, from a producer, and while no daemon runs.

-- Scopes in which nothing new is submitted.
CREATE TABLE batchd.pause (
  scope     text COLLATE "C" PRIMARY KEY
            CONSTRAINT pause_scope_is_all_or_job_or_deployment CHECK (scope = 'all' OR scope ~ '^(job|deployment):.'),
  paused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Requests in flight that nobody wants any more: when one comes back unanswered it is cancelled instead of queued again.
-- A narrow home of their own, because members of a shard have no row.
CREATE TABLE batchd.cancel_wish (
  request_id bigint PRIMARY KEY,
  wished_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION batchd.cancelled_error() RETURNS text LANGUAGE sql IMMUTABLE
RETURN '{"code":"cancelled","message":"cancelled before it was answered"}';

-- Settles requests that were sent before and wait to be sent again as cancelled; returns how many.
CREATE FUNCTION batchd.cancel_returned(ids bigint[], only_wished boolean) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (
    DELETE FROM batchd.retry y WHERE y.request_id = ANY (ids)
      AND (NOT only_wished OR EXISTS (SELECT FROM batchd.cancel_wish w WHERE w.request_id = y.request_id))
    RETURNING y.request_id, y.flow
  ), forgotten AS (
    DELETE FROM batchd.request_attempt t USING gone g WHERE t.request_id = g.request_id RETURNING t.request_id, t.attempts
  ), fulfilled AS (
    DELETE FROM batchd.cancel_wish w USING gone g WHERE w.request_id = g.request_id
  ), settled AS (
    INSERT INTO batchd.answer (request_id, outcome, error, attempt)
    SELECT g.request_id, 'cancelled', batchd.cancelled_error(), coalesce(t.attempts, 0) FROM gone g LEFT JOIN forgotten t USING (request_id)
  ), counted AS (
    INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, returned, cancelled)
    SELECT f.flow, f.model, f.endpoint, f.job, f.priority, f.deadline, -count(*), count(*)
    FROM gone g JOIN batchd.flow f USING (flow) GROUP BY f.flow
  )
  SELECT count(*) FROM gone;
$$;

-- Settles requests that were never sent as cancelled; returns how many.
CREATE FUNCTION batchd.cancel_queued(of_flows bigint[], only_id bigint) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (
    DELETE FROM batchd.queue WHERE flow = ANY (of_flows) AND (only_id IS NULL OR id = only_id) RETURNING flow, id, bytes
  ), settled AS (
    INSERT INTO batchd.answer (request_id, outcome, error, attempt) SELECT id, 'cancelled', batchd.cancelled_error(), 0 FROM gone
  ), counted AS (
    INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, queued, queued_bytes, cancelled)
    SELECT g.flow, min(r.model), min(r.endpoint), min(r.job), min(r.priority), min(date_bin('1 minute', r.deadline, 'epoch')),
           -count(*), -sum(g.bytes), count(*)
    FROM gone g JOIN batchd.request r ON r.id = g.id GROUP BY g.flow
  )
  SELECT count(*) FROM gone;
$$;

-- The flows a job's requests lie in.
CREATE FUNCTION batchd.flows_of_job(of_job text) RETURNS bigint[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(DISTINCT batchd.flow_of(model, endpoint, job, priority, deadline)), '{}')
  FROM batchd.request WHERE job = of_job;
$$;

-- Cancels one request: at once when it waits; in flight, it is not sent again, and an answer that was paid for still wins.
-- False when it is settled already, or unknown.
CREATE FUNCTION batchd.cancel_request(id bigint) RETURNS boolean
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
  END IF;
  RETURN true;
END $$;

-- Cancels whatever of a job is not settled; returns how many requests that concerns.
CREATE FUNCTION batchd.cancel_job(job text) RETURNS bigint
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
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS wished = ROW_COUNT;
  RETURN cancelled + wished;
END $$;

-- Queues requests that were settled without an answer again, with all their attempts; their results go to result_history.
CREATE FUNCTION batchd.queue_settled_again(ids bigint[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  queued bigint;
BEGIN
  WITH gone AS (
    DELETE FROM batchd.answer WHERE request_id = ANY (ids) AND outcome <> 'succeeded' RETURNING *
  ), kept AS (
    INSERT INTO batchd.result_history (request_id, outcome, status_code, response, error, input_tokens, output_tokens,
                                       provider_request_id, finished_at, shard_id, attempt)
    SELECT request_id, outcome, status_code, response, error, input_tokens, output_tokens, provider_request_id, finished_at, shard_id,
           attempt FROM gone
  ), again AS (
    INSERT INTO batchd.retry (request_id, flow, due_at, bytes)
    SELECT r.id, batchd.flow_of(r.model, r.endpoint, r.job, r.priority, r.deadline), clock_timestamp(), octet_length(r.body::text)
    FROM gone g JOIN batchd.request r ON r.id = g.request_id RETURNING request_id, flow
  ), unwished AS (
    DELETE FROM batchd.cancel_wish w USING gone g WHERE w.request_id = g.request_id
  ), counted AS (
    INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, returned, failed, cancelled, expired)
    SELECT a.flow, min(r.model), min(r.endpoint), min(r.job), min(r.priority), min(date_bin('1 minute', r.deadline, 'epoch')), count(*),
           -count(*) FILTER (WHERE g.outcome = 'failed'), -count(*) FILTER (WHERE g.outcome = 'cancelled'),
           -count(*) FILTER (WHERE g.outcome = 'expired')
    FROM again a JOIN gone g ON g.request_id = a.request_id JOIN batchd.request r ON r.id = a.request_id GROUP BY a.flow
  )
  SELECT count(*) INTO queued FROM gone;
  IF queued > 0 THEN
    PERFORM pg_notify('batchd_request', '');
  END IF;
  RETURN queued;
END $$;

-- Queues one request again; false when it is unknown, not settled, or succeeded.
CREATE FUNCTION batchd.retry_request(id bigint) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT batchd.queue_settled_again(ARRAY[id]) = 1;
$$;

-- Queues every request of a job again that was settled without success; returns how many.
CREATE FUNCTION batchd.retry_job(job text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT batchd.queue_settled_again(ARRAY(SELECT r.id FROM batchd.request r JOIN batchd.answer a ON a.request_id = r.id
                                          WHERE r.job = retry_job.job AND a.outcome <> 'succeeded'));
$$;

-- Gives all that waits of a job another priority, and what comes later into the same flows; returns how many flows that are.
CREATE FUNCTION batchd.set_priority(job text, n int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  changed bigint;
BEGIN
  PERFORM batchd.fold();
  UPDATE batchd.flow f SET priority = n WHERE f.job = set_priority.job;
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END $$;

-- Stops new submissions: scope is `all`, `job:NAME` or `deployment:NAME`. What is submitted already goes on.
CREATE FUNCTION batchd.pause(scope text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO batchd.pause (scope) VALUES (scope) ON CONFLICT DO NOTHING;
$$;

-- Ends a pause of that very scope; a deployment's also when batchd made it. False when nothing was paused.
CREATE FUNCTION batchd.resume(scope text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ended boolean;
BEGIN
  DELETE FROM batchd.pause p WHERE p.scope = resume.scope;
  ended := FOUND;
  UPDATE batchd.deployment d SET paused_until = NULL, pause_reason = NULL
  WHERE d.paused_until > clock_timestamp() AND resume.scope IN ('all', 'deployment:' || d.name);
  ended := ended OR FOUND;
  PERFORM pg_notify('batchd_request', '');
  RETURN ended;
END $$;

REVOKE ALL ON FUNCTION batchd.cancel_returned(bigint[], boolean), batchd.cancel_queued(bigint[], bigint), batchd.flows_of_job(text),
  batchd.cancel_request(bigint), batchd.cancel_job(text), batchd.queue_settled_again(bigint[]), batchd.retry_request(bigint),
  batchd.retry_job(text), batchd.set_priority(text, int), batchd.pause(text), batchd.resume(text) FROM PUBLIC;
