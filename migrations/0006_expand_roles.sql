-- oldest-program: 1
-- Who may do what. The three roles cannot log in: users are made members of them.

-- Creates the roles when this user may, and grants each what it needs; returns the roles that are still missing.
-- `batchd migrate` calls it every time, and prints the SQL for an administrator when some are missing.
CREATE FUNCTION batchd.apply_grants() RETURNS text[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wanted name;
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
    CASE wanted
      WHEN 'batchd_producer' THEN
        GRANT INSERT (model, endpoint, job, key, priority, deadline, body), SELECT (id, job, key) ON batchd.request TO batchd_producer;
        GRANT USAGE ON SEQUENCE batchd.request_id TO batchd_producer;
        GRANT EXECUTE ON FUNCTION batchd.cancel_request(bigint), batchd.cancel_job(text), batchd.retry_request(bigint),
          batchd.retry_job(text), batchd.set_priority(text, int) TO batchd_producer;
      WHEN 'batchd_worker' THEN
        GRANT SELECT ON batchd.request, batchd.request_key, batchd.instance, batchd.job_progress, batchd.totals, batchd.result,
          batchd.request_status TO batchd_worker;
        GRANT SELECT, INSERT ON batchd.answer TO batchd_worker;
        GRANT SELECT, INSERT, UPDATE, DELETE ON batchd.queue, batchd.delta, batchd.hint, batchd.flow, batchd.flow_cursor, batchd.job_count,
          batchd.total, batchd.retry, batchd.request_attempt, batchd.deployment, batchd.replica, batchd.role, batchd.shard,
          batchd.shard_member, batchd.shard_progress TO batchd_worker;
        GRANT USAGE ON SEQUENCE batchd.shard_id TO batchd_worker;
        GRANT SELECT ON batchd.pause TO batchd_worker;
        GRANT SELECT, DELETE ON batchd.cancel_wish TO batchd_worker;
        GRANT EXECUTE ON FUNCTION batchd.cancel_returned(bigint[], boolean), batchd.cancel_request(bigint), batchd.cancel_job(text),
          batchd.retry_request(bigint), batchd.retry_job(text), batchd.set_priority(text, int), batchd.pause(text), batchd.resume(text)
          TO batchd_worker;
        GRANT EXECUTE ON FUNCTION batchd.make_partitions(int), batchd.retire_partition(interval), batchd.retire_shards(interval) TO batchd_worker;
      WHEN 'batchd_reader' THEN
        GRANT SELECT ON batchd.request, batchd.result, batchd.result_history, batchd.request_status, batchd.job_progress, batchd.totals
          TO batchd_reader;
    END CASE;
  END LOOP;
  RETURN missing;
END $$;

REVOKE ALL ON FUNCTION batchd.apply_grants(), batchd.announce(), batchd.remember_key() FROM PUBLIC;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM batchd.instance) THEN
    -- Not secret, but never the same twice: part of every remote name, by which batchd knows its own files and batches.
    INSERT INTO batchd.instance (id) VALUES (substr(replace(gen_random_uuid()::text, '-', ''), 1, 12));
  END IF;
  BEGIN
    UPDATE batchd.instance SET system_identifier = (SELECT c.system_identifier FROM pg_control_system() c);
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'this user may not ask for the server''s identity: a restored copy of this database will not notice itself';
  END;
END $$;
