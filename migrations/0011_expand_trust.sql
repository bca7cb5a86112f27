-- oldest-program: 1
-- A database that has forgotten what it had confirmed: a backup that was restored, or a standby that was promoted before it had
-- everything. What its shards say cannot be believed alone; nothing is planned or posted until the providers' own lists have been
-- compared with it.

ALTER TABLE batchd.instance
  ADD COLUMN timeline        int,          -- of the server's history when it was last asked; NULL when it cannot be asked
  ADD COLUMN rewound_at      timestamptz,  -- when commits turned out to be lost, last
  ADD COLUMN loss_accepted   timestamptz,  -- until when a person has said that what was lost may be paid for again
  ADD COLUMN retired_through bigint NOT NULL DEFAULT 0;  -- the highest shard ever retired: a higher one that is not here was lost

-- How many of its writes a replica has been told were kept, as the database remembers it. Less than the replica remembers: the
-- database has gone back.
ALTER TABLE batchd.replica ADD COLUMN beats bigint NOT NULL DEFAULT 0;

-- Providers whose lists have to be compared with the books before anything is planned or posted there.
CREATE TABLE batchd.unmatched (
  provider text COLLATE "C" PRIMARY KEY,
  reason   text NOT NULL,
  since    timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- Which history of the server this is: a promotion and a recovery to a point in time begin a new one. NULL where nobody may ask.
CREATE FUNCTION batchd.present_timeline() RETURNS int
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int;
EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function OR object_not_in_prerequisite_state THEN
  RETURN NULL;
END $$;

-- Whether the server's history is another than when it was last asked: what was confirmed before may be lost.
CREATE FUNCTION batchd.is_rewound() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce((SELECT i.timeline <> batchd.present_timeline() FROM batchd.instance i), false);
$$;

-- These providers are to be compared with the books. `lost`: because commits are known to be lost; they also are when the server's
-- history is another one, which is remembered from now on.
CREATE FUNCTION batchd.distrust(providers text[], lost boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  rewound boolean := lost OR batchd.is_rewound();
BEGIN
  IF rewound THEN
    UPDATE batchd.instance SET rewound_at = clock_timestamp();
    providers := providers || ARRAY(SELECT d.provider FROM batchd.deployment d);
  END IF;
  UPDATE batchd.instance i SET timeline = batchd.present_timeline() WHERE i.timeline IS DISTINCT FROM batchd.present_timeline();
  INSERT INTO batchd.unmatched (provider, reason)
  SELECT DISTINCT p, CASE WHEN rewound THEN 'rewound' ELSE 'start' END FROM unnest(providers) AS p
  ON CONFLICT (provider) DO UPDATE SET since = excluded.since,
    reason = CASE WHEN batchd.unmatched.reason = 'rewound' THEN 'rewound' ELSE excluded.reason END;
END $$;

-- Whether requests may be bound to shards and batches submitted at a provider: the books agree with its list, as far as anybody knows.
CREATE FUNCTION batchd.is_trusted(of_provider text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT NOT batchd.is_rewound() AND NOT EXISTS (SELECT FROM batchd.unmatched u WHERE u.provider = of_provider);
$$;

-- Whether a shard may have gone further, and been merged, in what was lost; nobody has said yet that it may be paid for again.
CREATE FUNCTION batchd.is_doubtful(s batchd.shard) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM batchd.instance i WHERE s.created_at < i.rewound_at AND i.rewound_at > coalesce(i.loss_accepted, '-infinity'));
$$;

-- This is the same installation, at a new place: whatever was under way goes on, once the providers' lists have been compared with
-- what this copy knows. Returns whether it had moved.
CREATE OR REPLACE FUNCTION batchd.adopt() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moved boolean := batchd.has_moved();
BEGIN
  UPDATE batchd.instance
  SET (system_identifier, database_oid) = (SELECT p.system_identifier, p.database_oid FROM batchd.present_identity() p);
  IF moved THEN
    PERFORM batchd.distrust('{}', true);
  END IF;
  PERFORM pg_notify('batchd_request', '');
  RETURN moved;
END $$;

REVOKE ALL ON FUNCTION batchd.present_timeline(), batchd.is_rewound(), batchd.distrust(text[], boolean), batchd.is_trusted(text) FROM PUBLIC;

INSERT INTO batchd.role_grant (role, privilege) VALUES
  ('batchd_worker', 'SELECT, DELETE ON batchd.unmatched'),
  ('batchd_worker', 'EXECUTE ON FUNCTION batchd.is_rewound(), batchd.distrust(text[], boolean), batchd.is_trusted(text)');

UPDATE batchd.instance SET timeline = batchd.present_timeline();
