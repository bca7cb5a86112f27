-- oldest-program: 1
-- What producers see: batchd.request, and what an INSERT leaves behind for the daemon.
--
-- A row of `request` is never updated. An INSERT also writes, in the producer's own transaction, one narrow row a request
-- into `queue` and one row a statement and flow into `delta`, from which the counters are rolled up later: producers never
-- touch a row that another producer touches, so none waits for another's commit (only the same (job, key) does).

DO $$
BEGIN
  IF current_setting('server_version_num')::int < 140000 THEN
    RAISE EXCEPTION 'batchd needs PostgreSQL 14 or newer, this is %', current_setting('server_version');
  END IF;
END $$;

CREATE SCHEMA batchd;
COMMENT ON SCHEMA batchd IS 'batchd: prompts in, answers beside them';

-- Ids a partition holds; `request` and `answer` are cut alike, so that a pair can be dropped together.
CREATE FUNCTION batchd.partition_size() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 500000;

CREATE SEQUENCE batchd.request_id;

-- Names are compared byte by byte (COLLATE "C"): cheaper, and the same on every server.
CREATE TABLE batchd.request (
  id         bigint NOT NULL DEFAULT nextval('batchd.request_id'),
  model      text COLLATE "C" NOT NULL
             CONSTRAINT request_model_has_1_to_200_bytes CHECK (octet_length(model) BETWEEN 1 AND 200),
  endpoint   text COLLATE "C" NOT NULL DEFAULT '/v1/chat/completions'
             CONSTRAINT request_endpoint_is_a_path_of_at_most_200_bytes
             CHECK (starts_with(endpoint, '/') AND octet_length(endpoint) <= 200),
  job        text COLLATE "C" NOT NULL DEFAULT 'default'
             CONSTRAINT request_job_has_1_to_512_bytes CHECK (octet_length(job) BETWEEN 1 AND 512),
  key        text COLLATE "C"
             CONSTRAINT request_key_has_1_to_512_bytes CHECK (octet_length(key) BETWEEN 1 AND 512),
  priority   int NOT NULL DEFAULT 0,
  deadline   timestamptz CONSTRAINT request_deadline_is_finite CHECK (isfinite(deadline)),
  body       json NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX request_job ON batchd.request (job, id);
-- An INSERT must never fail for want of a partition.
CREATE TABLE batchd.request_default PARTITION OF batchd.request DEFAULT;

-- A UNIQUE constraint cannot span partitions cut by another column, so keys have a table of their own.
CREATE TABLE batchd.request_key (
  job        text COLLATE "C" NOT NULL,
  key        text COLLATE "C" NOT NULL,
  request_id bigint NOT NULL,
  PRIMARY KEY (job, key)
);

-- Requests that were never in a shard. `xact` is the producer's transaction: rows become visible in the order of commits,
-- not of ids, and the planner's cursor (batchd.flow_cursor) needs to know what may still appear behind it.
CREATE TABLE batchd.queue (
  flow  bigint NOT NULL,
  xact  xid8 NOT NULL,
  id    bigint NOT NULL,
  bytes int NOT NULL,
  PRIMARY KEY (flow, xact, id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.2);

-- Changes of the counters that nobody has rolled up yet: appended by whoever changes something, in that same transaction,
-- and folded into flow, job_count and total by batchd.fold. Every total shown is the folded one plus these.
CREATE TABLE batchd.delta (
  flow          bigint NOT NULL,
  model         text COLLATE "C" NOT NULL,
  endpoint      text COLLATE "C" NOT NULL,
  job           text COLLATE "C" NOT NULL,
  priority      int NOT NULL,
  deadline      timestamptz,
  accepted      bigint NOT NULL DEFAULT 0,
  queued        bigint NOT NULL DEFAULT 0,  -- rows of queue
  queued_bytes  bigint NOT NULL DEFAULT 0,
  returned      bigint NOT NULL DEFAULT 0,  -- rows of retry: queued too, but sent before
  in_flight     bigint NOT NULL DEFAULT 0,
  succeeded     bigint NOT NULL DEFAULT 0,
  failed        bigint NOT NULL DEFAULT 0,
  cancelled     bigint NOT NULL DEFAULT 0,
  expired       bigint NOT NULL DEFAULT 0,
  input_tokens  bigint NOT NULL DEFAULT 0,
  output_tokens bigint NOT NULL DEFAULT 0,
  at            timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT delta_loses_no_request CHECK (accepted = queued + returned + in_flight + succeeded + failed + cancelled + expired)
) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Whether a producer's commit should wake the daemon: armed by a roll-up that found nothing to do, disarmed by one that did.
CREATE TABLE batchd.hint (
  one   boolean PRIMARY KEY DEFAULT true CHECK (one),
  armed boolean NOT NULL
) WITH (fillfactor = 50);
INSERT INTO batchd.hint (armed) VALUES (true);

-- One FIFO of the queue: requests of one lane, job, priority and minute of deadline. A hash and no registry, because a
-- registry's unique index would make producers of a brand-new job wait for each other.
CREATE FUNCTION batchd.flow_of(model text, endpoint text, job text, priority int, deadline timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
  hashtextextended(model COLLATE "C", hashtextextended(endpoint COLLATE "C", hashtextextended(job COLLATE "C",
    hashint8extended(priority::bigint, coalesce(floor(extract(epoch FROM deadline) / 60)::bigint, -1)))));

-- A key that is known enqueues nothing and is no error: the row vanishes before it is counted or returned.
CREATE FUNCTION batchd.remember_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO batchd.request_key (job, key, request_id) VALUES (NEW.job, NEW.key, NEW.id) ON CONFLICT (job, key) DO NOTHING;
  IF FOUND THEN
    RETURN NEW;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION batchd.announce() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  WITH fresh AS MATERIALIZED (
    SELECT batchd.flow_of(model, endpoint, job, priority, deadline) AS flow, id, octet_length(body::text) AS bytes,
           model, endpoint, job, priority, date_bin('1 minute', deadline, 'epoch') AS deadline
    FROM inserted
  ), queued AS (
    INSERT INTO batchd.queue (flow, xact, id, bytes) SELECT flow, pg_current_xact_id(), id, bytes FROM fresh
  )
  INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, accepted, queued, queued_bytes)
  SELECT flow, model, endpoint, job, priority, deadline, count(*), count(*), sum(bytes)
  FROM fresh GROUP BY flow, model, endpoint, job, priority, deadline;
  -- NOTIFY takes a lock of the whole database at commit: only while the daemon sleeps, and only one producer at a time.
  IF FOUND AND (SELECT armed FROM batchd.hint) AND pg_try_advisory_xact_lock(hashtext('batchd.hint')) THEN
    PERFORM pg_notify('batchd_request', '');
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER remember_key BEFORE INSERT ON batchd.request FOR EACH ROW WHEN (NEW.key IS NOT NULL)
EXECUTE FUNCTION batchd.remember_key();
CREATE TRIGGER announce AFTER INSERT ON batchd.request REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
EXECUTE FUNCTION batchd.announce();
