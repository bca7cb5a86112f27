-- oldest-program: 1
-- Books of every POST /batches that was announced, and of the batches that they do not explain.

-- One row a POST: written with the intent, before the POST is made, and completed with its answer. The primary key is what
-- makes a second POST of the same attempt impossible, whatever a program believes.
CREATE TABLE batchd.submission (
  shard_id     bigint NOT NULL,
  attempt      int NOT NULL,
  provider     text COLLATE "C" NOT NULL,
  input_file   text COLLATE "C" NOT NULL,
  announced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  answer       text COLLATE "C" NOT NULL DEFAULT 'open',
  answered_at  timestamptz,
  batch_id     text COLLATE "C",
  PRIMARY KEY (shard_id, attempt),
  CONSTRAINT submission_answer_is_known CHECK (answer IN ('open', 'created', 'not_created', 'fenced')),
  CONSTRAINT submission_created_has_a_batch CHECK (answer <> 'created' OR batch_id IS NOT NULL),
  CONSTRAINT submission_answered_at_a_time CHECK ((answer = 'open') = (answered_at IS NULL))
) WITH (fillfactor = 80);
-- For batches that came back without their metadata.
CREATE INDEX submission_input ON batchd.submission (input_file);
CREATE INDEX submission_fenced ON batchd.submission (provider, answered_at) WHERE answer = 'fenced';

-- Batches of ours that the books do not explain; each is judged once and remembered, whoever found it.
--   duplicate  runs beside another of its shard: it is cancelled, and what it answered is used where that is missing
--   harmless   failed before anything ran
--   lost       its shard, or its answers, were known to a database that is no more, and nothing is left to learn them from
CREATE TABLE batchd.stray (
  provider         text COLLATE "C" NOT NULL,
  batch_id         text COLLATE "C" NOT NULL,
  kind             text COLLATE "C" NOT NULL,
  shard_id         bigint NOT NULL,  -- as its metadata says; the shard need not exist
  attempt          int NOT NULL,
  status           text COLLATE "C" NOT NULL,
  input_file       text,
  output_file      text,
  error_file       text,
  total            bigint,  -- requests, as the provider counts them
  completed        bigint,
  failed           bigint,
  batch_created_at timestamptz,  -- by the provider's clock
  found_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  over_at          timestamptz,  -- it was seen to be over
  used_at          timestamptz,  -- what it answered is stored where it was missing
  done_at          timestamptz,  -- nothing more is to be done about it
  PRIMARY KEY (provider, batch_id),
  CONSTRAINT stray_kind_is_known CHECK (kind IN ('duplicate', 'harmless', 'lost'))
) WITH (fillfactor = 70);
CREATE INDEX stray_open ON batchd.stray (provider, found_at) WHERE kind = 'duplicate' AND done_at IS NULL;
CREATE INDEX stray_shard ON batchd.stray (shard_id);

-- What can be said of shards that were submitted before there were books: their present attempt.
INSERT INTO batchd.submission (shard_id, attempt, provider, input_file, announced_at, answer, answered_at, batch_id)
SELECT id, attempt, provider, coalesce(input_file, ''), coalesce(intent_at, submitted_at, state_at),
       CASE WHEN batch_id IS NULL THEN 'open' ELSE 'created' END, CASE WHEN batch_id IS NOT NULL THEN coalesce(submitted_at, state_at) END, batch_id
FROM batchd.shard WHERE intent_at IS NOT NULL OR batch_id IS NOT NULL;
-- A batch of an unknown shard above `retired_through` was lost, not forgotten by retention.
UPDATE batchd.instance SET retired_through =
  greatest(retired_through, coalesce((SELECT min(id) - 1 FROM batchd.shard), (SELECT last_value - (NOT is_called)::int FROM batchd.shard_id)));

-- Forgets up to a thousand shards that closed longer ago than `settled`, with what the books say of them; returns how many.
CREATE OR REPLACE FUNCTION batchd.retire_shards(settled interval) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (
    DELETE FROM batchd.shard WHERE id IN (SELECT id FROM batchd.shard WHERE state = 'closed' AND closed_at < clock_timestamp() - settled
                                          ORDER BY id LIMIT 1000) RETURNING id
  ), progress AS (DELETE FROM batchd.shard_progress p USING gone WHERE p.shard_id = gone.id
  ), submissions AS (DELETE FROM batchd.submission b USING gone WHERE b.shard_id = gone.id
  ), strays AS (DELETE FROM batchd.stray t USING gone WHERE t.shard_id = gone.id AND t.done_at IS NOT NULL AND t.kind <> 'lost'
  ), through AS (
    UPDATE batchd.instance SET retired_through = m.id FROM (SELECT max(id) AS id FROM gone) m WHERE m.id > retired_through
  )
  SELECT count(*) FROM gone;
$$;

-- Shards made from now on have numbers above `through`: those up to it stand in the metadata of batches at a provider.
CREATE FUNCTION batchd.skip_shards(through bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT setval('batchd.shard_id', through) FROM batchd.shard_id WHERE last_value < through OR (last_value = through AND NOT is_called);
$$;

-- Binds those of these requests that wait in the queue to a shard for a batch that runs, or has run, with them: under the number
-- `given`, or a new one when that is 0. The custom ids in the batch's lines say which attempt each request is on. Room is taken
-- whether there is any or not, because the provider has enqueued the batch already.
-- `shard` is NULL when none of them waits. No row when `by_term` may not do this, or counters are not rolled up yet: try again later.
CREATE FUNCTION batchd.bind_found(by_term bigint, of_provider text, in_batch text, given bigint, in_attempt int, file text, named text,
                                  batch_tokens bigint, ids bigint[], id_attempts int[])
RETURNS TABLE (shard bigint, members bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  flows bigint[];
  got_ids bigint[];
  got_flows bigint[];
  got_bytes bigint[];
  got_queued int[];
  lane batchd.flow;
  to_deployment text;
  room bigint := batch_tokens;
BEGIN
  PERFORM FROM batchd.role WHERE name = 'watch:' || of_provider AND owner = by_term FOR NO KEY UPDATE;
  IF NOT FOUND OR batchd.has_moved() THEN RETURN; END IF;
  -- The same again, after a COMMIT whose answer was lost.
  SELECT s.id, s.requests INTO shard, members FROM batchd.shard s WHERE s.batch_id = in_batch AND s.provider = of_provider;
  IF FOUND THEN
    RETURN NEXT;
    RETURN;
  END IF;
  PERFORM FROM batchd.role WHERE name = 'plan' FOR NO KEY UPDATE;  -- the planner takes from the same queue
  flows := ARRAY(SELECT DISTINCT batchd.flow_of(r.model, r.endpoint, r.job, r.priority, r.deadline) FROM batchd.request r WHERE r.id = ANY (ids));
  IF EXISTS (SELECT FROM unnest(flows) AS u (flow) WHERE NOT EXISTS (SELECT FROM batchd.flow f WHERE f.flow = u.flow)) THEN
    RETURN;
  END IF;
  -- `id + 0`: a flow's rows are walked once, not once for each of the ids.
  WITH queued AS (
    DELETE FROM batchd.queue q WHERE q.flow = ANY (flows) AND q.id + 0 = ANY (ids) RETURNING q.id, q.flow, q.bytes
  ), returned AS (
    DELETE FROM batchd.retry y WHERE y.request_id = ANY (ids) RETURNING y.request_id, y.flow, y.bytes
  )
  SELECT array_agg(t.id ORDER BY t.flow, t.id), array_agg(t.flow ORDER BY t.flow, t.id), array_agg(t.bytes ORDER BY t.flow, t.id),
         array_agg(t.queued ORDER BY t.flow, t.id)
  INTO got_ids, got_flows, got_bytes, got_queued
  FROM (SELECT id, flow, bytes::bigint, 1 AS queued FROM queued UNION ALL SELECT request_id, flow, bytes, 0 FROM returned) t;
  shard := NULL;
  members := coalesce(cardinality(got_ids), 0);
  IF members = 0 THEN
    RETURN NEXT;
    RETURN;
  END IF;
  shard := CASE WHEN given > 0 THEN given ELSE nextval('batchd.shard_id') END;

  INSERT INTO batchd.shard_member (shard_id, ordinal, flow, first_id, last_id, members, requests)
  SELECT bind_found.shard, row_number() OVER (ORDER BY c.flow, c.part) - 1, c.flow, c.first_id, c.last_id, c.ids, c.requests
  FROM (SELECT r.flow, (r.n - 1) / 1024 AS part, min(lower(r.ids)) AS first_id, max(upper(r.ids)) - 1 AS last_id, range_agg(r.ids) AS ids,
               sum(upper(r.ids) - lower(r.ids)) AS requests
        FROM (SELECT a.flow, u.ids, row_number() OVER (PARTITION BY a.flow ORDER BY u.ids) AS n
              FROM (SELECT g.flow, range_agg(int8range(g.id, g.id, '[]')) AS all_ids FROM unnest(got_ids, got_flows) AS g (id, flow) GROUP BY g.flow) a
              CROSS JOIN LATERAL unnest(a.all_ids) AS u (ids)) r
        GROUP BY r.flow, (r.n - 1) / 1024) c;
  INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, queued, queued_bytes, returned, in_flight)
  SELECT f.flow, f.model, f.endpoint, f.job, f.priority, f.deadline, -sum(g.queued), -sum(g.bytes * g.queued), -sum(1 - g.queued), count(*)
  FROM unnest(got_flows, got_bytes, got_queued) AS g (flow, bytes, queued) JOIN batchd.flow f ON f.flow = g.flow GROUP BY f.flow;

  -- Answers carry the attempt that stood in their lines.
  DELETE FROM batchd.request_attempt t USING unnest(ids, id_attempts) AS l (id, attempt)
  WHERE t.request_id = l.id AND l.id = ANY (got_ids) AND l.attempt <= 1;
  INSERT INTO batchd.request_attempt AS t (request_id, attempts)
  SELECT l.id, l.attempt - 1 FROM unnest(ids, id_attempts) AS l (id, attempt) WHERE l.id = ANY (got_ids) AND l.attempt > 1
  ON CONFLICT (request_id) DO UPDATE SET attempts = excluded.attempts;

  SELECT f.* INTO lane FROM batchd.flow f WHERE f.flow = got_flows[1];
  UPDATE batchd.deployment d SET reserved = d.reserved + room
  WHERE d.name = (SELECT o.name FROM batchd.deployment o WHERE o.provider = of_provider AND (o.name = named OR o.model = lane.model)
                  ORDER BY o.name = named DESC, o.configured DESC, o.name LIMIT 1)
  RETURNING d.name INTO to_deployment;
  IF NOT FOUND THEN
    to_deployment := coalesce(nullif(named, ''), lane.model);  -- no longer known: polled and merged all the same
    room := 0;
  END IF;
  INSERT INTO batchd.shard (id, model, endpoint, deployment, provider, priority, deadline, state, attempt, requests, bytes, tokens, reserved,
                            input_file, batch_id, submitted_at)
  SELECT bind_found.shard, lane.model, lane.endpoint, to_deployment, of_provider, max(f.priority), min(f.deadline), 'submitted', in_attempt,
         bind_found.members, sum(b.bytes), room, room, file, in_batch, clock_timestamp()
  FROM (SELECT g.flow, sum(g.bytes) AS bytes FROM unnest(got_flows, got_bytes) AS g (flow, bytes) GROUP BY g.flow) b
  JOIN batchd.flow f ON f.flow = b.flow;
  IF given > 0 THEN
    INSERT INTO batchd.submission (shard_id, attempt, provider, input_file, answer, answered_at, batch_id)
    VALUES (given, in_attempt, of_provider, file, 'created', clock_timestamp(), in_batch)
    ON CONFLICT ON CONSTRAINT submission_pkey DO UPDATE SET answer = 'created', answered_at = clock_timestamp(), batch_id = excluded.batch_id;
  END IF;
  UPDATE batchd.shard s SET wished_at = clock_timestamp() WHERE s.id = bind_found.shard AND batchd.wishes_in(s.id) > 0;
  RETURN NEXT;
END $$;

-- This is another installation than the one it was copied from: it gets a name of its own and lets go of every file and batch of the
-- original's, which are neither asked about, merged, cancelled nor deleted from here. Live shards are given up, so that a daemon
-- returns their unanswered requests to the queue at no cost; the room they had reserved is free.
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
  -- What the original posted, and what became of that, is not this one's business.
  DELETE FROM batchd.submission;
  DELETE FROM batchd.stray;
  DELETE FROM batchd.unmatched;

  instance_id := substr(replace(gen_random_uuid()::text, '-', ''), 1, 12);
  UPDATE batchd.instance SET id = instance_id, created_at = clock_timestamp(),
    rewound_at = NULL, timeline = batchd.present_timeline(),
    (system_identifier, database_oid) = (SELECT p.system_identifier, p.database_oid FROM batchd.present_identity() p);
END $$;

REVOKE ALL ON FUNCTION batchd.retire_shards(interval), batchd.skip_shards(bigint) FROM PUBLIC;

INSERT INTO batchd.role_grant (role, privilege) VALUES
  ('batchd_worker', 'SELECT, INSERT, UPDATE, DELETE ON batchd.submission, batchd.stray'),
  ('batchd_worker', 'EXECUTE ON FUNCTION batchd.skip_shards(bigint)');
