-- oldest-program: 1
-- How often in a row the provider denied what a shard's step needs. Other failures are no sign that a batch or an answer is gone.

ALTER TABLE batchd.shard ADD denials int NOT NULL DEFAULT 0;
