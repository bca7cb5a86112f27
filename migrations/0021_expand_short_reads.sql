-- oldest-program: 1
-- How often in a row a result file ended early, apart from denials: what ends early is there.

ALTER TABLE batchd.shard ADD short_reads int NOT NULL DEFAULT 0;
