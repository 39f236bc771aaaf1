-- Which trigrams occur in the names of 256 outputs, so that a search need not read all names. What
-- is searched is the key and the build as one text.
ALTER TABLE outputs ADD INDEX IF NOT EXISTS names lower(concat(key, '\n', build)) TYPE ngrambf_v1(3, 4096, 1, 0) GRANULARITY 1;

ALTER TABLE outputs MATERIALIZE INDEX names;
