-- oldest-program: 1
-- Who may do what becomes a list: a migration that adds objects adds what its roles need of them, and nothing is written twice.

CREATE TABLE batchd.role_grant (
  role      name NOT NULL,
  privilege text NOT NULL,  -- what stands between GRANT and TO
  PRIMARY KEY (role, privilege)
);

INSERT INTO batchd.role_grant (role, privilege)
SELECT role, privilege FROM (VALUES
  ('batchd_producer', ARRAY[
    'INSERT (model, endpoint, job, key, priority, deadline, body), SELECT (id, job, key) ON batchd.request',
    'USAGE ON SEQUENCE batchd.request_id',
    'EXECUTE ON FUNCTION batchd.cancel_request(bigint), batchd.cancel_job(text), batchd.retry_request(bigint), batchd.retry_job(text), '
      'batchd.set_priority(text, int)']),
  ('batchd_worker', ARRAY[
    'SELECT ON batchd.request, batchd.request_key, batchd.instance, batchd.job_progress, batchd.totals, batchd.result, batchd.request_status',
    'SELECT, INSERT ON batchd.answer',
    'SELECT, INSERT, UPDATE, DELETE ON batchd.queue, batchd.delta, batchd.hint, batchd.flow, batchd.flow_cursor, batchd.job_count, '
      'batchd.total, batchd.retry, batchd.request_attempt, batchd.deployment, batchd.replica, batchd.role, batchd.shard, '
      'batchd.shard_member, batchd.shard_progress, batchd.file_ceiling',
    'USAGE ON SEQUENCE batchd.shard_id',
    'SELECT ON batchd.pause',
    'SELECT, DELETE ON batchd.cancel_wish',
    'EXECUTE ON FUNCTION batchd.cancel_returned(bigint[], boolean), batchd.cancel_request(bigint), batchd.cancel_job(text), '
      'batchd.retry_request(bigint), batchd.retry_job(text), batchd.set_priority(text, int), batchd.pause(text), batchd.resume(text)',
    'EXECUTE ON FUNCTION batchd.place_wishes(int)',
    'EXECUTE ON FUNCTION batchd.has_moved(), batchd.adopt(), batchd.adopt_as_new_instance(interval)',
    'EXECUTE ON FUNCTION batchd.make_partitions(int), batchd.retire_partition(interval), batchd.retire_shards(interval)']),
  ('batchd_reader', ARRAY[
    'SELECT ON batchd.request, batchd.result, batchd.result_history, batchd.request_status, batchd.job_progress, batchd.totals'])
) AS granted (role, privileges) CROSS JOIN LATERAL unnest(privileges) AS privilege;

-- Creates the roles when this user may, and grants each what the list says; returns the roles that are still missing.
-- `batchd migrate` calls it every time, and prints the SQL for an administrator when some are missing.
CREATE OR REPLACE FUNCTION batchd.apply_grants() RETURNS text[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wanted name;
  needed text;
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
    FOR needed IN SELECT g.privilege FROM batchd.role_grant g WHERE g.role = wanted LOOP
      EXECUTE format('GRANT %s TO %I', needed, wanted);
    END LOOP;
  END LOOP;
  RETURN missing;
END $$;
