-- oldest-program: 1
-- Requests that are asked for again: what counts and estimates forgot about them.

-- Settles requests that were sent before, or settled before, and wait to be sent again as cancelled; returns how many. Their flow may
-- not be rolled up yet, when they were cancelled and asked for again within a moment: its names come from the requests themselves.
CREATE OR REPLACE FUNCTION batchd.cancel_returned(ids bigint[], only_wished boolean) RETURNS bigint
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
    SELECT g.flow, min(r.model), min(r.endpoint), min(r.job), min(r.priority), min(date_bin('1 minute', r.deadline, 'epoch')),
           -count(*), count(*)
    FROM gone g JOIN batchd.request r ON r.id = g.request_id GROUP BY g.flow
  )
  SELECT count(*) FROM gone;
$$;

-- Counters rolled up plus those that are not yet, in one snapshot: accepted = queued + in_flight + the four outcomes, always.
-- A job all of whose settled requests were asked for again has nothing that an estimate could go by.
CREATE OR REPLACE VIEW batchd.job_progress AS
SELECT job, accepted, queued, in_flight, succeeded, failed, cancelled, expired, input_tokens, output_tokens, started, last_settled,
       CASE WHEN queued + in_flight > 0 AND accepted > queued + in_flight AND last_settled > started
            THEN last_settled + (last_settled - started) * ((queued + in_flight)::double precision / (accepted - queued - in_flight))
       END AS estimated_finish
FROM (
  SELECT job, sum(accepted)::bigint AS accepted, sum(queued)::bigint AS queued, sum(in_flight)::bigint AS in_flight,
         sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled,
         sum(expired)::bigint AS expired, sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
         min(first_at) AS started, max(last_at) AS last_settled
  FROM (
    SELECT job, accepted, queued, in_flight, succeeded, failed, cancelled, expired, input_tokens, output_tokens, first_at, last_at
    FROM batchd.job_count
    UNION ALL
    SELECT job, accepted, queued + returned, in_flight, succeeded, failed, cancelled, expired, input_tokens, output_tokens, at,
           CASE WHEN succeeded + failed + cancelled + expired > 0 THEN at END
    FROM batchd.delta
  ) counted
  GROUP BY job
) progress;
