-- oldest-program: 1
-- Partitions made ahead of the ids, and dropped when what they hold was settled long ago. The worker may neither create nor
-- drop tables; these functions may, and do nothing else.

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

-- Drops the oldest pair of partitions of `request` and `answer` all of whose requests have been settled for longer than
-- `settled`, and takes them out of the counters and the keys; false when there is no such pair, or somebody is in the way.
-- Partitions that ids are still given out for stay, and so does what lies in the default partitions.
CREATE FUNCTION batchd.retire_partition(settled interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
  horizon timestamptz := clock_timestamp() - settled;
  given_out bigint := (SELECT last_value FROM batchd.request_id);
  number bigint;
  latest timestamptz;
  is_over boolean;
BEGIN
  FOR number IN
    SELECT substr(c.relname, length('request_') + 1)::bigint AS n
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'batchd.request'::regclass AND c.relname ~ '^request_[0-9]+$' ORDER BY n
  LOOP
    EXIT WHEN (number + 1) * batchd.partition_size() > given_out;
    EXECUTE format('SELECT created_at FROM batchd.request_%s ORDER BY id DESC LIMIT 1', number) INTO latest;
    CONTINUE WHEN latest > horizon;
    -- The locks come first: a producer whose transaction is still open may have rows here that nobody sees yet.
    EXECUTE format('LOCK TABLE batchd.request_%s, batchd.answer_%s IN ACCESS EXCLUSIVE MODE', number, number);
    EXECUTE format('SELECT (SELECT count(*) FROM batchd.request_%s) = (SELECT count(*) FROM batchd.answer_%s WHERE finished_at < $1)',
                   number, number) INTO is_over USING horizon;
    CONTINUE WHEN NOT is_over;
    EXECUTE format($q$
      INSERT INTO batchd.delta (flow, model, endpoint, job, priority, deadline, accepted, succeeded, failed, cancelled, expired)
      SELECT batchd.flow_of(model, endpoint, job, priority, deadline), model, endpoint, job, priority,
             date_bin('1 minute', deadline, 'epoch'), -count(*), -count(*) FILTER (WHERE outcome = 'succeeded'),
             -count(*) FILTER (WHERE outcome = 'failed'), -count(*) FILTER (WHERE outcome = 'cancelled'),
             -count(*) FILTER (WHERE outcome = 'expired')
      FROM batchd.request_%s r JOIN batchd.answer_%s a ON a.request_id = r.id GROUP BY 1, 2, 3, 4, 5, 6$q$, number, number);
    EXECUTE format('DELETE FROM batchd.request_key k USING batchd.request_%s r WHERE r.key IS NOT NULL AND k.job = r.job AND k.key = r.key',
                   number);
    DELETE FROM batchd.result_history
    WHERE request_id >= number * batchd.partition_size() AND request_id < (number + 1) * batchd.partition_size();
    EXECUTE format('DROP TABLE batchd.request_%s', number);
    EXECUTE format('DROP TABLE batchd.answer_%s', number);
    RETURN true;
  END LOOP;
  RETURN false;
EXCEPTION WHEN lock_not_available OR undefined_table THEN
  RETURN false;  -- all of it is undone; the next call tries again
END $$;
REVOKE ALL ON FUNCTION batchd.retire_partition(interval) FROM PUBLIC;

-- Forgets up to a thousand shards that closed longer ago than `settled`; returns how many.
CREATE FUNCTION batchd.retire_shards(settled interval) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (
    DELETE FROM batchd.shard WHERE id IN (SELECT id FROM batchd.shard WHERE state = 'closed' AND closed_at < clock_timestamp() - settled
                                          ORDER BY id LIMIT 1000) RETURNING id
  ), progress AS (DELETE FROM batchd.shard_progress p USING gone WHERE p.shard_id = gone.id)
  SELECT count(*) FROM gone;
$$;
REVOKE ALL ON FUNCTION batchd.retire_shards(interval) FROM PUBLIC;

SELECT batchd.make_partitions();
