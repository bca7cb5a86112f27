-- oldest-program: 1
-- What is believed of a deployment's quota, the same for every replica (daemon/core/quota.hpp says what the columns mean), and the order
-- in which files that wait for room get it.

ALTER TABLE batchd.deployment
  ADD COLUMN dynamic_token_limit bigint NOT NULL DEFAULT 0,
  ADD COLUMN room_believed       bigint,       -- NULL: as configured
  ADD COLUMN room_told           bigint,
  ADD COLUMN room_told_at        timestamptz,
  ADD COLUMN room_settled_at     timestamptz,  -- NULL: long ago
  ADD COLUMN room_strikes        int NOT NULL DEFAULT 0,
  ADD COLUMN room_refusals       bigint NOT NULL DEFAULT 0,
  ADD COLUMN release_lag_ms      bigint NOT NULL DEFAULT 0,
  ADD COLUMN lag_blamed          boolean NOT NULL DEFAULT false,
  ADD COLUMN leaving_tokens      bigint[] NOT NULL DEFAULT '{}',  -- of batches that have ended, and until when each may count
  ADD COLUMN leaving_until       timestamptz[] NOT NULL DEFAULT '{}',
  ADD COLUMN ended_at            timestamptz,
  ADD COLUMN turnaround_ms       bigint;

-- When a smaller file, later in line, was first submitted while this one had no room.
ALTER TABLE batchd.shard ADD COLUMN passed_at timestamptz;

-- Tokens of batches that have ended and may still count. Ten minutes is the longest that is believed: a clock that was set must not make
-- them count for longer.
CREATE FUNCTION batchd.leaving(d batchd.deployment) RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(sum(l.tokens), 0)::bigint FROM unnest(d.leaving_tokens, d.leaving_until) AS l (tokens, until)
  WHERE l.until > clock_timestamp() AND l.until <= clock_timestamp() + interval '10 min';
$$;

-- Whether a deployment has room for so many tokens more. What is larger than the believed room may be tried alone.
CREATE FUNCTION batchd.has_room(d batchd.deployment, tokens bigint) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT u.taken + has_room.tokens <= coalesce(d.room_believed, d.enqueued_token_limit)
         OR (u.taken = 0 AND has_room.tokens <= greatest(d.enqueued_token_limit, d.dynamic_token_limit))
  FROM (SELECT d.reserved + batchd.leaving(d)) AS u (taken);
$$;

-- Whether an uploaded shard is to be submitted now: there is room for it, and none that goes before it has been passed by smaller ones
-- for longer than a batch usually takes.
CREATE FUNCTION batchd.gets_room(s batchd.shard) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT NOT EXISTS (SELECT FROM batchd.deployment d WHERE d.name = s.deployment AND d.configured)
         OR EXISTS (SELECT FROM batchd.deployment d
                    WHERE d.name = s.deployment AND batchd.has_room(d, s.tokens)
                      AND NOT EXISTS (SELECT FROM batchd.shard e
                                      WHERE e.state = 'uploaded' AND e.state <> 'closed' AND e.deployment = s.deployment AND e.intent_at IS NULL
                                        AND e.passed_at + coalesce(d.turnaround_ms, 3600000) * interval '1 ms' < clock_timestamp()
                                        AND e.due_at <= clock_timestamp()
                                        AND (-e.priority, coalesce(e.deadline, 'infinity'), e.id)
                                          < (-s.priority, coalesce(s.deadline, 'infinity'), s.id)));
$$;

-- Whether a shard that is not submitted yet should be given up, so that its requests find their way without it: one of them was
-- cancelled, or it was packed for a larger quota than its deployment has now or is believed to have, or some but not all belong to jobs
-- that were paused, or its deployment was paused and another one serves the model.
CREATE OR REPLACE FUNCTION batchd.is_unwanted(s batchd.shard) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.wished_at IS NOT NULL
         OR (EXISTS (SELECT FROM batchd.cancel_wish w WHERE NOT w.placed) AND batchd.wishes_in(s.id) > 0)
         OR (s.state = 'uploaded'
             AND EXISTS (SELECT FROM batchd.deployment d
                         WHERE d.name = s.deployment AND d.configured
                           AND (s.tokens > greatest(d.enqueued_token_limit, d.dynamic_token_limit)
                                OR (s.requests > 1 AND ((d.dynamic_token_limit = 0 AND s.tokens > d.room_told)
                                                        OR s.tokens / 2 > coalesce(d.room_believed, d.enqueued_token_limit))))))
         OR (EXISTS (SELECT FROM batchd.pause)
             AND ((SELECT bool_or(p.paused) AND NOT bool_and(p.paused)
                   FROM (SELECT EXISTS (SELECT FROM batchd.pause w WHERE w.scope = 'job:' || f.job) AS paused
                         FROM batchd.shard_member m JOIN batchd.flow f USING (flow) WHERE m.shard_id = s.id) p)
                  OR (EXISTS (SELECT FROM batchd.pause w WHERE w.scope = 'deployment:' || s.deployment)
                      AND EXISTS (SELECT FROM batchd.deployment d
                                  WHERE d.model = s.model AND d.name <> s.deployment AND d.configured
                                    AND NOT EXISTS (SELECT FROM batchd.pause w WHERE w.scope IN ('all', 'deployment:' || d.name))))));
$$;
