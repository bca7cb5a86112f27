-- oldest-program: 1
-- How many files at a provider no shard holds: they take places that our uploads cannot have.

ALTER TABLE batchd.orphan_search
  ADD COLUMN other_files bigint NOT NULL DEFAULT 0,  -- when its files were last looked through
  ADD COLUMN counted_at  timestamptz;                -- and when that was; NULL: never
