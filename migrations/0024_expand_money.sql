-- oldest-program: 1
-- What requests cost, and what may be spent on them. Amounts are whole nanodollars (a billionth of a US dollar), prices whole
-- picodollars per token. Nothing is written here as long as no model has a price.

-- The newest configuration's prices and caps, by which every replica goes.
CREATE TABLE batchd.price (
  model        text COLLATE "C" PRIMARY KEY,
  input        bigint NOT NULL,
  cached_input bigint NOT NULL,
  output       bigint NOT NULL,
  max_output   bigint NOT NULL,  -- tokens; 0: budget.max_output
  CONSTRAINT price_is_not_negative CHECK (input >= 0 AND cached_input >= 0 AND output >= 0 AND max_output >= 0)
);
CREATE TABLE batchd.budget (
  one            boolean PRIMARY KEY DEFAULT true CHECK (one),
  daily          bigint,  -- NULL: no cap
  per_job        bigint,
  strict         boolean NOT NULL,
  assumed_output bigint NOT NULL,
  max_output     bigint NOT NULL
);

-- One guarded row each: what is reserved by shards that may run, and what merged ones have cost. Whoever reserves takes the day's
-- row first, then the jobs' in the order of their names.
CREATE TABLE batchd.money_day (
  day      date PRIMARY KEY,  -- UTC, of the submission
  reserved bigint NOT NULL DEFAULT 0 CONSTRAINT money_day_reserved_is_not_negative CHECK (reserved >= 0),
  spent    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE batchd.money_job (
  job      text COLLATE "C" PRIMARY KEY,
  reserved bigint NOT NULL DEFAULT 0 CONSTRAINT money_job_reserved_is_not_negative CHECK (reserved >= 0),
  spent    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE batchd.money_deployment (
  day        date NOT NULL,
  deployment text COLLATE "C" NOT NULL,
  spent      bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (day, deployment)
) WITH (fillfactor = 50);

-- What a shard may cost, what it has reserved and what its stored answers have cost, by job; from its file to its merge.
CREATE TABLE batchd.shard_money (
  shard_id bigint NOT NULL,
  job      text COLLATE "C" NOT NULL,
  bound    bigint NOT NULL DEFAULT 0,
  least    bigint NOT NULL DEFAULT 0,  -- of its requests
  reserved bigint NOT NULL DEFAULT 0,
  day      date,                       -- on which it is reserved
  spent    bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (shard_id, job),
  CONSTRAINT shard_money_reserves_on_a_day CHECK (reserved >= 0 AND (reserved = 0 OR day IS NOT NULL))
) WITH (fillfactor = 50);

-- Requests that a cap has no room for. The planner passes them by until there is some.
CREATE TABLE batchd.money_wait (
  model     text COLLATE "C" NOT NULL,
  job       text COLLATE "C" NOT NULL,
  needs     bigint NOT NULL,   -- the cheapest of them
  wants     bigint NOT NULL,   -- all that were looked at
  above_cap boolean NOT NULL,  -- each is above a whole cap
  noted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (model, job)
) WITH (fillfactor = 50);

-- How many output tokens a model's answers have: a histogram, see core/output_bound.hpp.
CREATE TABLE batchd.output_size (
  model  text COLLATE "C" PRIMARY KEY,
  counts bigint[] NOT NULL
) WITH (fillfactor = 50);

-- The UTC day by this database's clock.
CREATE FUNCTION batchd.utc_day() RETURNS date LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date;
$$;

-- Sets aside what a shard may cost: false when it does not fit under a cap, and the caller then undoes its transaction.
-- `unguarded`: whether it fits or not, because the batch is there already.
CREATE FUNCTION batchd.reserve_money(of_shard bigint, unguarded boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  today date;
  cap batchd.budget;
  wanted bigint;
  parts bigint;
  touched bigint;
BEGIN
  SELECT sum(m.bound), count(*) INTO wanted, parts FROM batchd.shard_money m WHERE m.shard_id = of_shard AND m.reserved = 0;
  IF parts = 0 THEN RETURN true; END IF;
  SELECT * INTO cap FROM batchd.budget;
  today := batchd.utc_day();
  INSERT INTO batchd.money_day (day) VALUES (today) ON CONFLICT DO NOTHING;
  UPDATE batchd.money_day d SET reserved = d.reserved + wanted
  WHERE d.day = today AND (unguarded OR wanted = 0 OR cap.daily IS NULL OR d.spent + d.reserved + wanted <= cap.daily);
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO batchd.money_job (job) SELECT m.job FROM batchd.shard_money m WHERE m.shard_id = of_shard ORDER BY m.job
  ON CONFLICT DO NOTHING;
  PERFORM FROM batchd.money_job j WHERE j.job IN (SELECT m.job FROM batchd.shard_money m WHERE m.shard_id = of_shard)
  ORDER BY j.job FOR NO KEY UPDATE;
  UPDATE batchd.money_job j SET reserved = j.reserved + m.bound FROM batchd.shard_money m
  WHERE m.shard_id = of_shard AND m.reserved = 0 AND m.job = j.job
    AND (unguarded OR m.bound = 0 OR cap.per_job IS NULL OR j.spent + j.reserved + m.bound <= cap.per_job);
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched < parts THEN RETURN false; END IF;
  UPDATE batchd.shard_money m SET reserved = m.bound, day = today WHERE m.shard_id = of_shard AND m.reserved = 0;
  RETURN true;
END $$;

-- Gives back exactly what a shard has set aside.
CREATE FUNCTION batchd.release_money(of_shard bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM batchd.shard_money m WHERE m.shard_id = of_shard AND m.reserved > 0) THEN RETURN; END IF;
  UPDATE batchd.money_day d SET reserved = d.reserved - m.reserved
  FROM (SELECT day, sum(reserved) AS reserved FROM batchd.shard_money WHERE shard_id = of_shard AND reserved > 0 GROUP BY day) m
  WHERE d.day = m.day;
  PERFORM FROM batchd.money_job j WHERE j.job IN (SELECT m.job FROM batchd.shard_money m WHERE m.shard_id = of_shard)
  ORDER BY j.job FOR NO KEY UPDATE;
  UPDATE batchd.money_job j SET reserved = j.reserved - m.reserved FROM batchd.shard_money m
  WHERE m.shard_id = of_shard AND m.job = j.job;
  UPDATE batchd.shard_money m SET reserved = 0, day = NULL WHERE m.shard_id = of_shard;
END $$;

-- A shard is merged: what its answers have cost takes the place of what it had set aside, on the day of its submission.
CREATE FUNCTION batchd.settle_money(of_shard bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  of_day date;
  cost bigint;
BEGIN
  SELECT max(m.day), sum(m.spent) INTO of_day, cost FROM batchd.shard_money m WHERE m.shard_id = of_shard;
  IF cost IS NULL THEN RETURN; END IF;
  PERFORM batchd.release_money(of_shard);
  IF cost > 0 THEN
    of_day := coalesce(of_day, batchd.utc_day());
    INSERT INTO batchd.money_day AS d (day, spent) VALUES (of_day, cost) ON CONFLICT (day) DO UPDATE SET spent = d.spent + excluded.spent;
    INSERT INTO batchd.money_job AS j (job, spent)
    SELECT m.job, m.spent FROM batchd.shard_money m WHERE m.shard_id = of_shard AND m.spent > 0 ORDER BY m.job
    ON CONFLICT (job) DO UPDATE SET spent = j.spent + excluded.spent;
    INSERT INTO batchd.money_deployment AS p (day, deployment, spent)
    SELECT of_day, s.deployment, cost FROM batchd.shard s WHERE s.id = of_shard
    ON CONFLICT (day, deployment) DO UPDATE SET spent = p.spent + excluded.spent;
  END IF;
  DELETE FROM batchd.shard_money m WHERE m.shard_id = of_shard;
END $$;

-- What is spoken for under each cap, beside what is spent and reserved: files that wait to be submitted, but for those that wait for
-- something else.
CREATE VIEW batchd.money_staged AS
SELECT m.job, sum(m.bound)::bigint AS staged
FROM batchd.shard s
JOIN batchd.shard_money m ON m.shard_id = s.id
JOIN batchd.deployment d ON d.name = s.deployment AND d.configured AND NOT coalesce(d.paused_until > clock_timestamp(), false)
WHERE s.state = 'uploaded' AND s.state <> 'closed' AND s.intent_at IS NULL AND m.reserved = 0
  AND NOT EXISTS (SELECT FROM batchd.pause p WHERE p.scope IN ('all', 'deployment:' || d.name))
GROUP BY m.job;

-- In dollars, for people.
CREATE VIEW batchd.cost_by_day AS
SELECT day, deployment, spent / 1000000000::numeric AS cost FROM batchd.money_deployment;

-- job_progress gains what the job has cost, behind whatever columns it has.
DO $$
BEGIN
  EXECUTE 'CREATE OR REPLACE VIEW batchd.job_progress AS SELECT before.*, coalesce(m.spent, 0) / 1000000000::numeric AS cost FROM ('
          || rtrim(pg_get_viewdef('batchd.job_progress'::regclass), '; ') || ') before LEFT JOIN batchd.money_job m ON m.job = before.job';
END $$;

REVOKE ALL ON FUNCTION batchd.reserve_money(bigint, boolean), batchd.release_money(bigint), batchd.settle_money(bigint) FROM PUBLIC;

INSERT INTO batchd.role_grant (role, privilege) VALUES
  ('batchd_worker', 'SELECT, INSERT, UPDATE, DELETE ON batchd.price, batchd.budget, batchd.money_day, batchd.money_job,
                     batchd.money_deployment, batchd.shard_money, batchd.money_wait, batchd.output_size'),
  ('batchd_worker', 'SELECT ON batchd.money_staged, batchd.cost_by_day'),
  ('batchd_worker', 'EXECUTE ON FUNCTION batchd.utc_day(), batchd.reserve_money(bigint, boolean), batchd.release_money(bigint),
                     batchd.settle_money(bigint)'),
  ('batchd_reader', 'SELECT ON batchd.cost_by_day, batchd.money_wait');
