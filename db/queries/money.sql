-- What requests cost, and what may be spent on them.

-- name: money_rules
-- The newest configuration's caps; no row before there were any prices.
SELECT daily, per_job, strict, assumed_output, max_output FROM batchd.budget;

-- name: prices
-- Its prices.
SELECT model, input, cached_input, output, max_output FROM batchd.price;

-- name: forget_prices
-- Makes place for another configuration's.
DELETE FROM batchd.price;

-- name: publish_price
-- What a model costs from now on.
INSERT INTO batchd.price (model, input, cached_input, output, max_output)
VALUES ($1, $2::bigint, $3::bigint, $4::bigint, $5::bigint);

-- name: publish_budget
-- The caps from now on; -1 for none.
INSERT INTO batchd.budget (daily, per_job, strict, assumed_output, max_output)
VALUES (nullif($1::bigint, -1), nullif($2::bigint, -1), $3::boolean, $4::bigint, $5::bigint)
ON CONFLICT (one) DO UPDATE SET daily = excluded.daily, per_job = excluded.per_job, strict = excluded.strict,
  assumed_output = excluded.assumed_output, max_output = excluded.max_output;

-- name: forget_money_waits
-- Under other rules what waited for money may not have to.
DELETE FROM batchd.money_wait;

-- name: hurry_above_budget
-- Nor what was above a whole cap: it is due.
UPDATE batchd.retry SET due_at = clock_timestamp()
WHERE due_at > clock_timestamp()
  AND request_id IN (SELECT request_id FROM batchd.request_attempt WHERE starts_with(error, '{"code":"' || $1 || '"'));

-- name: shard_tariff
-- What the requests of a shard's model cost, and the day's cap with what is committed under it; no row when it has no price.
SELECT p.input, p.cached_input, p.output, p.max_output, b.strict, b.assumed_output, b.max_output AS any_output, o.counts, b.daily,
       CASE WHEN b.daily IS NOT NULL THEN coalesce(d.spent + d.reserved, 0) + (SELECT coalesce(sum(staged), 0) FROM batchd.money_staged) END
         AS committed,
       CASE WHEN b.daily IS NOT NULL THEN coalesce(d.reserved, 0) > 0 OR EXISTS (SELECT FROM batchd.money_staged) END AS outstanding,
       b.per_job
FROM batchd.shard s
JOIN batchd.price p ON p.model = s.model
CROSS JOIN batchd.budget b
LEFT JOIN batchd.money_day d ON d.day = batchd.utc_day()
LEFT JOIN batchd.output_size o ON o.model = s.model
WHERE s.id = $1::bigint;

-- name: shard_jobs
-- The jobs of a shard's flows, with what is committed of each.
SELECT m.flow, f.job, coalesce(j.spent + j.reserved, 0) + coalesce(t.staged, 0) AS committed,
       coalesce(j.reserved, 0) > 0 OR coalesce(t.staged, 0) > 0 AS outstanding
FROM (SELECT DISTINCT flow FROM batchd.shard_member WHERE shard_id = $1::bigint) m
JOIN batchd.flow f USING (flow)
LEFT JOIN batchd.money_job j ON j.job = f.job
LEFT JOIN batchd.money_staged t ON t.job = f.job AND $2::boolean
ORDER BY f.job, m.flow;

-- name: money_waits
-- What waits for money, with the caps and what is committed under each. Not what was noted so long ago that it is looked at again.
SELECT w.model, w.job, w.needs, w.wants, w.above_cap, b.daily,
       coalesce(d.spent + d.reserved, 0) + (SELECT coalesce(sum(staged), 0) FROM batchd.money_staged) AS day_committed,
       coalesce(d.reserved, 0) > 0 OR EXISTS (SELECT FROM batchd.money_staged) AS day_outstanding,
       b.per_job, coalesce(j.spent + j.reserved, 0) + coalesce(t.staged, 0) AS job_committed,
       coalesce(j.reserved, 0) > 0 OR coalesce(t.staged, 0) > 0 AS job_outstanding
FROM batchd.money_wait w
CROSS JOIN batchd.budget b
LEFT JOIN batchd.money_day d ON d.day = batchd.utc_day()
LEFT JOIN batchd.money_job j ON j.job = w.job
LEFT JOIN batchd.money_staged t ON t.job = w.job
WHERE NOT w.above_cap AND w.noted_at BETWEEN clock_timestamp() - $1::bigint * interval '1 ms' AND clock_timestamp();

-- name: note_money_wait
-- Requests of a shard's model and this job wait for money.
INSERT INTO batchd.money_wait (model, job, needs, wants, above_cap)
SELECT s.model, $2, $3::bigint, $4::bigint, $5::boolean FROM batchd.shard s WHERE s.id = $1::bigint
ON CONFLICT (model, job) DO UPDATE SET needs = excluded.needs, wants = excluded.wants, above_cap = excluded.above_cap,
  noted_at = excluded.noted_at;

-- name: note_unaffordable
-- All of a leased shard waits for money.
INSERT INTO batchd.money_wait (model, job, needs, wants, above_cap)
SELECT s.model, m.job, m.least, m.bound, false FROM batchd.shard s JOIN batchd.shard_money m ON m.shard_id = s.id
WHERE s.id = $1::bigint AND s.owner = $2::bigint ORDER BY m.job
ON CONFLICT (model, job) DO UPDATE SET needs = excluded.needs, wants = excluded.wants, above_cap = excluded.above_cap,
  noted_at = excluded.noted_at;

-- name: forget_bounds
-- The file is another one.
DELETE FROM batchd.shard_money WHERE shard_id = $1::bigint;

-- name: note_bounds
-- What a shard's file may cost, by job.
INSERT INTO batchd.shard_money (shard_id, job, bound, least)
SELECT $1::bigint, u.job, u.bound, u.least FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS u (job, bound, least);

-- name: end_money_waits
-- These jobs have a file again: what was noted before the shard was planned is over.
DELETE FROM batchd.money_wait w USING batchd.shard s
WHERE s.id = $1::bigint AND w.model = s.model AND w.job = ANY ($2::text[]) AND w.noted_at < s.created_at;

-- name: reserve_money
-- Sets aside what a shard may cost; false when a cap has no room.
SELECT batchd.reserve_money($1::bigint, $2::boolean);

-- name: release_money
-- Gives it back.
SELECT batchd.release_money($1::bigint);

-- name: settle_money
-- Puts what its answers have cost in its place.
SELECT batchd.settle_money($1::bigint);

-- name: note_spent
-- What a chunk of a shard's answers has cost, by flow.
INSERT INTO batchd.shard_money AS m (shard_id, job, spent)
SELECT $1::bigint, f.job, sum(u.spent) FROM unnest($2::bigint[], $3::bigint[]) AS u (flow, spent) JOIN batchd.flow f USING (flow) GROUP BY f.job
ON CONFLICT (shard_id, job) DO UPDATE SET spent = m.spent + excluded.spent;

-- name: begin_output_sizes
-- So that there is a row to lock.
INSERT INTO batchd.output_size (model, counts) SELECT model, '{}' FROM batchd.shard WHERE id = $1::bigint ON CONFLICT DO NOTHING;

-- name: lock_output_sizes
-- How long answers of a shard's model usually are.
SELECT o.model, o.counts FROM batchd.output_size o WHERE o.model = (SELECT s.model FROM batchd.shard s WHERE s.id = $1::bigint)
FOR NO KEY UPDATE OF o;

-- name: store_output_sizes
-- How long they are now.
UPDATE batchd.output_size SET counts = $2::bigint[] WHERE model = $1;

-- name: budget_today
-- The day's sums and cap; one row.
SELECT coalesce(d.spent, 0), coalesce(d.reserved, 0), b.daily, b.per_job
FROM (SELECT batchd.utc_day() AS day) today LEFT JOIN batchd.money_day d USING (day) LEFT JOIN batchd.budget b ON true;

-- name: spent_today
-- By deployment.
SELECT deployment, spent FROM batchd.money_deployment WHERE day = batchd.utc_day() ORDER BY deployment;

-- name: models_short_of_money
-- Models with requests that wait for money; a little longer than they are passed by, so that one more look makes no gap.
SELECT DISTINCT model FROM batchd.money_wait
WHERE noted_at BETWEEN clock_timestamp() - $1::bigint * interval '1 ms' - interval '5 min' AND clock_timestamp();

-- name: money_wait_lines
-- The same for people, of one job or ('') of all.
SELECT model, job, needs, above_cap FROM batchd.money_wait
WHERE ($2 = '' OR job = $2)
  AND noted_at BETWEEN clock_timestamp() - $1::bigint * interval '1 ms' - interval '5 min' AND clock_timestamp() ORDER BY model, job LIMIT 100;

-- name: model_outlook
-- What is known of a model: how long its answers are, how long half of its latest batches took at most, and how many tokens are ahead.
SELECT (SELECT o.counts FROM batchd.output_size o WHERE o.model = $1),
       (SELECT (1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM s.finished_at - s.submitted_at)))::bigint
        FROM (SELECT finished_at, submitted_at FROM batchd.shard
              WHERE model = $1 AND submitted_at IS NOT NULL AND finished_at IS NOT NULL AND finish_reason IN ('ran', 'expired')
              ORDER BY id DESC LIMIT 50) s),
       coalesce((SELECT sum(greatest(f.queued_bytes, 0)) FROM batchd.flow f WHERE f.model = $1 AND f.queued > 0) * $2::double precision, 0)::bigint
         + coalesce((SELECT sum(s.tokens) FROM batchd.shard s
                     WHERE s.state <> 'closed' AND s.state IN ('planned', 'uploaded', 'submitted') AND s.model = $1), 0)::bigint;

-- name: known_keys
-- Those of these keys that a job has already.
SELECT key FROM batchd.request_key WHERE job = $1 AND key = ANY ($2::text[]);
