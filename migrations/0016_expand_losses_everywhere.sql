-- oldest-program: 1
-- A loss of commits concerns every provider: a request that waits here may be in a lost batch, or have been answered, there.

-- True when the books can be believed as far as work at this provider goes: its list agrees with them, and, once commits are known to be
-- lost, so do the lists of all that are configured, and no paid answers are missing anywhere.
CREATE OR REPLACE FUNCTION batchd.is_trusted(of_provider text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT NOT batchd.is_rewound()
         AND NOT EXISTS (SELECT FROM batchd.unmatched u
                         WHERE u.provider = of_provider
                            OR (u.reason = 'rewound' AND EXISTS (SELECT FROM batchd.deployment d WHERE d.provider = u.provider AND d.configured)))
         AND NOT EXISTS (SELECT FROM batchd.stray t WHERE t.kind = 'lost' AND batchd.is_open_loss(t));
$$;
