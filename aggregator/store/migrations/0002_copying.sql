-- Operators that seem to copy, as of a roll-up: operator claimed the same as source, later,
-- and nobody else got it. See package index.
CREATE TABLE IF NOT EXISTS copying (
    version UInt64,
    operator UInt32,
    source UInt32,
    common UInt64,
    same UInt64,
    outputs Array(UInt32)
) ENGINE = ReplacingMergeTree ORDER BY (version, operator, source);
