-- oldest-program: 1
-- What the daemon keeps: counters, returned requests, shards and their members, answers, replicas and deployments.

-- The flows that were ever announced, with what waits in each. Written by batchd.fold only.
CREATE TABLE batchd.flow (
  flow          bigint PRIMARY KEY,
  model         text COLLATE "C" NOT NULL,
  endpoint      text COLLATE "C" NOT NULL,
  job           text COLLATE "C" NOT NULL,
  priority      int NOT NULL,
  deadline      timestamptz,
  queued        bigint NOT NULL,
  queued_bytes  bigint NOT NULL,
  returned      bigint NOT NULL,
  waiting_since timestamptz  -- since when something was queued without a break; NULL when nothing is
) WITH (fillfactor = 70);
CREATE INDEX flow_waiting ON batchd.flow (flow) WHERE queued > 0 OR returned > 0;

-- How far the planner has come in a flow: every row up to (xact, id) is taken, except those of the transactions in
-- open_xacts, which were still running when the cursor passed them; open_ids says how far each of those is taken.
-- So a claim never walks again over dead index entries that an old snapshot keeps, and a slow producer loses nothing.
-- Written by batchd.plan_shard only, under the role `plan`.
CREATE TABLE batchd.flow_cursor (
  flow          bigint PRIMARY KEY,
  xact          xid8 NOT NULL,
  id            bigint NOT NULL,
  open_xacts    xid8[] NOT NULL,
  open_ids      bigint[] NOT NULL,
  waiting_since timestamptz NOT NULL,  -- when the next row was enqueued; when there was none, when that was seen
  CONSTRAINT flow_cursor_open_pairs CHECK (cardinality(open_xacts) = cardinality(open_ids))
) WITH (fillfactor = 70);

CREATE TABLE batchd.job_count (
  job           text COLLATE "C" PRIMARY KEY,
  accepted      bigint NOT NULL,
  queued        bigint NOT NULL,  -- never sent and returned ones together
  in_flight     bigint NOT NULL,
  succeeded     bigint NOT NULL,
  failed        bigint NOT NULL,
  cancelled     bigint NOT NULL,
  expired       bigint NOT NULL,
  input_tokens  bigint NOT NULL,
  output_tokens bigint NOT NULL,
  first_at      timestamptz NOT NULL,
  last_at       timestamptz,  -- of the latest settling
  CONSTRAINT job_count_loses_no_request CHECK (accepted = queued + in_flight + succeeded + failed + cancelled + expired)
) WITH (fillfactor = 70);

-- The same over all jobs, so that a metric does not add up a million of them.
CREATE TABLE batchd.total (
  one       boolean PRIMARY KEY DEFAULT true CHECK (one),
  accepted  bigint NOT NULL DEFAULT 0,
  queued    bigint NOT NULL DEFAULT 0,
  in_flight bigint NOT NULL DEFAULT 0,
  succeeded bigint NOT NULL DEFAULT 0,
  failed    bigint NOT NULL DEFAULT 0,
  cancelled bigint NOT NULL DEFAULT 0,
  expired   bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO batchd.total DEFAULT VALUES;

-- Requests that came back from a shard unanswered: queued again, each from its own due time on.
CREATE TABLE batchd.retry (
  request_id bigint PRIMARY KEY,
  flow       bigint NOT NULL,
  due_at     timestamptz NOT NULL,
  bytes      int NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX retry_due ON batchd.retry (flow, due_at, request_id);

-- Attempts of unsettled requests that have used any: exceptions, so that a member of a big shard needs no row of its own.
CREATE TABLE batchd.request_attempt (
  request_id bigint PRIMARY KEY,
  attempts   int NOT NULL,
  error      text  -- JSON
) WITH (fillfactor = 80);

CREATE TABLE batchd.deployment (
  name                 text COLLATE "C" PRIMARY KEY,
  provider             text COLLATE "C" NOT NULL,
  model                text COLLATE "C" NOT NULL,
  enqueued_token_limit bigint NOT NULL,
  reserved             bigint NOT NULL DEFAULT 0 CONSTRAINT deployment_reserved_is_not_negative CHECK (reserved >= 0),
  generation           bigint NOT NULL,  -- of the configuration that named it last
  configured           boolean NOT NULL,
  paused_until         timestamptz,
  pause_reason         text
) WITH (fillfactor = 50);

-- A life of a replica. No row: the term is void, and what it held is free.
CREATE TABLE batchd.replica (
  term         bigint PRIMARY KEY,
  host         text NOT NULL,
  pid          bigint NOT NULL,
  version      text NOT NULL,
  started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

CREATE TABLE batchd.role (
  name  text COLLATE "C" PRIMARY KEY,
  owner bigint
) WITH (fillfactor = 50);

CREATE TABLE batchd.instance (
  one               boolean PRIMARY KEY DEFAULT true CHECK (one),
  id                text NOT NULL,
  system_identifier bigint,  -- of the server it was made on, NULL when that may not be asked
  created_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- planned -> uploaded -> submitted -> finished -> merged -> closed, forward only within an attempt.
CREATE SEQUENCE batchd.shard_id;
CREATE TABLE batchd.shard (
  id            bigint PRIMARY KEY DEFAULT nextval('batchd.shard_id'),
  model         text COLLATE "C" NOT NULL,
  endpoint      text COLLATE "C" NOT NULL,
  deployment    text COLLATE "C" NOT NULL,
  provider      text COLLATE "C" NOT NULL,
  priority      int NOT NULL,
  deadline      timestamptz,
  state         text COLLATE "C" NOT NULL DEFAULT 'planned',
  attempt       int NOT NULL DEFAULT 1,
  requests      bigint NOT NULL,
  bytes         bigint NOT NULL,
  tokens        bigint NOT NULL,
  reserved      bigint NOT NULL DEFAULT 0,
  intent_at     timestamptz,  -- a POST was announced and its answer is not recorded; NULL: no open intent
  looks         int NOT NULL DEFAULT 0,
  input_file    text,
  batch_id      text COLLATE "C",
  batch_status  text NOT NULL DEFAULT 'unknown',
  output_file   text,
  error_file    text,
  finish_reason text NOT NULL DEFAULT 'none',
  error         text,  -- JSON
  failures      int NOT NULL DEFAULT 0,
  due_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  owner         bigint,  -- the term that leases it
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  state_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  uploaded_at   timestamptz,
  submitted_at  timestamptz,
  finished_at   timestamptz,
  merged_at     timestamptz,
  closed_at     timestamptz,
  CONSTRAINT shard_state_is_known CHECK (state IN ('planned', 'uploaded', 'submitted', 'finished', 'merged', 'closed')),
  CONSTRAINT shard_has_members CHECK (requests > 0 AND attempt > 0 AND tokens >= 0),
  CONSTRAINT shard_uploaded_has_a_file CHECK (state NOT IN ('uploaded', 'submitted') OR input_file IS NOT NULL),
  CONSTRAINT shard_submitted_has_a_batch CHECK (state <> 'submitted' OR batch_id IS NOT NULL),
  CONSTRAINT shard_intends_only_what_is_uploaded CHECK (intent_at IS NULL OR state = 'uploaded'),
  CONSTRAINT shard_reserves_only_what_may_run
    CHECK (reserved >= 0 AND (reserved = 0 OR state = 'submitted' OR intent_at IS NOT NULL)),
  CONSTRAINT shard_finished_for_a_reason CHECK ((state IN ('finished', 'merged', 'closed')) = (finish_reason <> 'none')),
  CONSTRAINT shard_closed_has_no_owner CHECK (state <> 'closed' OR owner IS NULL)
) WITH (fillfactor = 70);
-- Looking for work touches live shards only, however many have closed.
CREATE INDEX shard_live ON batchd.shard (state, priority DESC, deadline, id) WHERE state <> 'closed';
CREATE INDEX shard_owned ON batchd.shard (owner) WHERE owner IS NOT NULL;
CREATE INDEX shard_batch ON batchd.shard (batch_id) WHERE batch_id IS NOT NULL;

-- The members of shards that are not merged: ids as ranges, a row a flow and at most 1024 ranges. A request's flow follows
-- from its own columns, and a flow's rows hardly overlap: so the shard of a request is found by the index and by unpacking
-- one row or two of some 20 KB, however many shards are live.
CREATE TABLE batchd.shard_member (
  shard_id bigint NOT NULL,
  ordinal  int NOT NULL,
  flow     bigint NOT NULL,
  first_id bigint NOT NULL,
  last_id  bigint NOT NULL,
  members  int8multirange NOT NULL,
  requests int NOT NULL,
  PRIMARY KEY (shard_id, ordinal)
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE batchd.shard_member ALTER COLUMN members SET STORAGE EXTERNAL;
CREATE INDEX shard_member_ids ON batchd.shard_member (flow, last_id, first_id);

-- A bit a member, set when it is settled or returned; no row before the first is.
CREATE TABLE batchd.shard_progress (
  shard_id bigint PRIMARY KEY,
  decided  bytea NOT NULL
) WITH (fillfactor = 50);
ALTER TABLE batchd.shard_progress ALTER COLUMN decided SET STORAGE EXTERNAL;

-- What became of a request. Text and not json, because COPY would otherwise parse every answer again; whoever writes here
-- has made sure that it is JSON in UTF-8 (the view batchd.result gives it out as json).
CREATE TABLE batchd.answer (
  request_id          bigint NOT NULL,
  outcome             text COLLATE "C" NOT NULL
                      CONSTRAINT answer_outcome_is_known CHECK (outcome IN ('succeeded', 'failed', 'cancelled', 'expired')),
  status_code         int,
  response            text,
  error               text,
  input_tokens        bigint,
  output_tokens       bigint,
  provider_request_id text,
  finished_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  shard_id            bigint,    -- NULL when it was never in one
  attempt             smallint NOT NULL,  -- how many batches ran with it, this one included
  CONSTRAINT answer_says_what_went_wrong CHECK (outcome = 'succeeded' OR error IS NOT NULL),
  PRIMARY KEY (request_id)
) PARTITION BY RANGE (request_id);
CREATE TABLE batchd.answer_default PARTITION OF batchd.answer DEFAULT;

-- Results that a retry has taken out of batchd.result.
CREATE TABLE batchd.result_history (
  request_id bigint NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  status_code int,
  response text,
  error text,
  input_tokens bigint,
  output_tokens bigint,
  provider_request_id text,
  finished_at timestamptz NOT NULL,
  shard_id bigint,
  attempt smallint NOT NULL,
  retired_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX result_history_request ON batchd.result_history (request_id, retired_at);

-- lz4 doubles the speed of storing answers; a server built without it does with its default.
DO $$
DECLARE
  big record;
BEGIN
  FOR big IN SELECT * FROM (VALUES ('request', 'body'), ('request_default', 'body'), ('answer', 'response'),
                                   ('answer_default', 'response'), ('result_history', 'response')) AS t (tab, col) LOOP
    EXECUTE format('ALTER TABLE batchd.%I ALTER COLUMN %I SET COMPRESSION lz4', big.tab, big.col);
  END LOOP;
EXCEPTION WHEN feature_not_supported THEN
  RAISE NOTICE 'this server has no lz4: answers are stored with its default compression';
END $$;
