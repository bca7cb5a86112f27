-- oldest-program: 1
-- A backup may be older than the configuration: providers that it does not know have lost as much as those that it knows.

-- These providers are to be compared with the books. `lost`: because commits are known to be lost; they also are when the server's
-- history is another one, which is remembered from now on. Where commits were lost before, a provider of which nothing is known may be
-- among what was lost.
CREATE OR REPLACE FUNCTION batchd.distrust(providers text[], lost boolean) RETURNS void
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
  SELECT DISTINCT p, CASE WHEN rewound OR (i.rewound_at IS NOT NULL AND NOT EXISTS (SELECT FROM batchd.deployment d WHERE d.provider = p))
                          THEN 'rewound' ELSE 'start' END
  FROM unnest(providers) AS p, batchd.instance i
  ON CONFLICT (provider) DO UPDATE SET since = excluded.since,
    reason = CASE WHEN batchd.unmatched.reason = 'rewound' THEN 'rewound' ELSE excluded.reason END;
END $$;
