-- oldest-program: 1
-- What a database that was put back does not know of itself: terms that began, and POSTs that were announced, after the backup.

-- Terms that are over. One that is neither here nor alive began in a past that is lost. Kept for a week, which no replica sleeps
-- through: one that did would cause a false alarm, and the providers' lists be compared with the books once more.
CREATE TABLE batchd.ended_term (
  term     bigint PRIMARY KEY,
  ended_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ended_term_age ON batchd.ended_term (ended_at);

-- Whoever removes a replica: programs older than this table, and people, too.
CREATE FUNCTION batchd.remember_ended_term() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO batchd.ended_term (term) VALUES (OLD.term) ON CONFLICT DO NOTHING;
  DELETE FROM batchd.ended_term WHERE term IN (SELECT e.term FROM batchd.ended_term e WHERE e.ended_at < clock_timestamp() - interval '7 days'
                                               ORDER BY e.ended_at LIMIT 1000 FOR UPDATE SKIP LOCKED);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION batchd.remember_ended_term() FROM PUBLIC;
CREATE TRIGGER replica_ends AFTER DELETE ON batchd.replica FOR EACH ROW EXECUTE FUNCTION batchd.remember_ended_term();

-- For batches that came back without their metadata and whose POST is not in the books.
CREATE INDEX shard_input ON batchd.shard (input_file) WHERE input_file IS NOT NULL;

INSERT INTO batchd.role_grant (role, privilege) VALUES ('batchd_worker', 'SELECT, INSERT ON batchd.ended_term');
