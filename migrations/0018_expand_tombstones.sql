-- oldest-program: 1
-- What a term had confirmed when it was ended: one that remembers more was ended by a database that has lost commits.

ALTER TABLE batchd.ended_term ADD beats bigint;  -- NULL: ended before this was noted

CREATE OR REPLACE FUNCTION batchd.remember_ended_term() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO batchd.ended_term (term, beats) VALUES (OLD.term, OLD.beats) ON CONFLICT DO NOTHING;
  DELETE FROM batchd.ended_term WHERE term IN (SELECT e.term FROM batchd.ended_term e WHERE e.ended_at < clock_timestamp() - interval '7 days'
                                               ORDER BY e.ended_at LIMIT 1000 FOR UPDATE SKIP LOCKED);
  RETURN NULL;
END $$;

INSERT INTO batchd.role_grant (role, privilege) VALUES ('batchd_worker', 'UPDATE ON batchd.ended_term');
