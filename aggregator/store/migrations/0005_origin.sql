-- Which ledger the index was made from: the log's key, and the root of its first size entries.
ALTER TABLE watermark ADD COLUMN IF NOT EXISTS origin String;
ALTER TABLE watermark ADD COLUMN IF NOT EXISTS root String;
