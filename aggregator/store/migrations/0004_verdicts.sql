-- What is judged of each output, in columns, and the claims that it was judged from: one row, so that
-- both are always of one state. An output's ID is hash and rest together: an integer is looked up
-- faster. version is the ledger index up to which (exclusively) entries are folded into the row; since
-- is that of the entry that last changed the verdict, 0 where none did, and previous the verdict before
-- it. The verdicts, shapes and inputs are package divergence's numbers.
--
-- It takes the place of states. Rows are filled in from there by package index, which knows who counts
-- and drops states when that is done.
CREATE TABLE IF NOT EXISTS verdicts (
    hash UInt64 CODEC(Delta, LZ4),
    rest FixedString(12) CODEC(NONE),
    version UInt64 CODEC(T64),
    output UInt32 CODEC(ZSTD(1)),
    verdict UInt8 CODEC(LZ4),
    previous UInt8 CODEC(LZ4),
    since UInt64 CODEC(T64),
    operators UInt32 CODEC(T64, LZ4),
    digests UInt32 CODEC(T64, LZ4),
    shape UInt8 CODEC(LZ4),
    inputs UInt8 CODEC(LZ4),
    claims String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(version) PRIMARY KEY hash ORDER BY (hash, rest)
SETTINGS index_granularity = 32, min_compress_block_size = 1024;

-- The claims of a divergence are those in verdicts.
ALTER TABLE divergences DROP COLUMN IF EXISTS state;
