-- oldest-program: 1
-- Partitions made ahead of the ids. The worker may not create tables; this function may, and makes nothing else.

-- Makes one partition of a table; false when it cannot be made now. A partition is built aside and attached, because
-- ATTACH lets everyone go on, while CREATE ... PARTITION OF shuts the whole table. What it does lock, it waits for briefly.
CREATE FUNCTION batchd.make_partition(parent name, id_column name, number bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
  child name := format('%s_%s', parent, number);
  low bigint := number * batchd.partition_size();
  high bigint := low + batchd.partition_size();
  taken boolean;
BEGIN
  IF parent NOT IN ('request', 'answer') THEN
    RAISE EXCEPTION 'batchd.% is not cut into partitions', parent;
  END IF;
  IF to_regclass(format('batchd.%I', child)) IS NOT NULL THEN
    RETURN true;
  END IF;
  -- Rows that came before their partition stay in the default one, and so do those of the rest of their range.
  EXECUTE format('SELECT EXISTS (SELECT FROM batchd.%I WHERE %I >= $1 AND %I < $2)', parent || '_default', id_column, id_column)
    INTO taken USING low, high;
  IF taken THEN
    RETURN true;
  END IF;
  EXECUTE format('CREATE TABLE batchd.%I (LIKE batchd.%I INCLUDING ALL EXCLUDING INDEXES)', child, parent);
  EXECUTE format('ALTER TABLE batchd.%I ATTACH PARTITION batchd.%I FOR VALUES FROM (%s) TO (%s)', parent, child, low, high);
  RETURN true;
EXCEPTION WHEN lock_not_available OR duplicate_table OR check_violation THEN
  -- Somebody is in the way, makes it too, or a row slipped into the default partition: the next call sees further.
  RETURN false;
END $$;

-- Makes the partitions of `request` and `answer` for the ids given out now and the next `ahead` partitions.
-- Returns whether all of them exist. Cheap when they do.
CREATE FUNCTION batchd.make_partitions(ahead int DEFAULT 8) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  now_at bigint := (SELECT last_value FROM batchd.request_id) / batchd.partition_size();
  done boolean := true;
BEGIN
  -- They are made in order, `answer` last: when the farthest exists, so do those before it.
  IF to_regclass(format('batchd.answer_%s', now_at + ahead)) IS NOT NULL THEN
    RETURN true;
  END IF;
  FOR number IN now_at .. now_at + ahead LOOP
    done := batchd.make_partition('request', 'id', number) AND batchd.make_partition('answer', 'request_id', number);
    EXIT WHEN NOT done;
  END LOOP;
  RETURN done;
END $$;
REVOKE ALL ON FUNCTION batchd.make_partition(name, name, bigint), batchd.make_partitions(int) FROM PUBLIC;

SELECT batchd.make_partitions();
