-- One row: how far the index has come, and the totals up to there.
CREATE TABLE IF NOT EXISTS watermark (
    id UInt8,
    size UInt64,
    outputs UInt32,
    attestations UInt64,
    observations UInt64,
    failures UInt64,
    ignored UInt64,
    builders UInt32,
    operators UInt32,
    received_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(size) ORDER BY id;

-- Every ledger entry; ignored is the reason for which it moves nothing.
CREATE TABLE IF NOT EXISTS entries (
    log_index UInt64 CODEC(DoubleDelta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    kind LowCardinality(String),
    builder UInt32 CODEC(ZSTD(1)),
    outputs UInt32 CODEC(ZSTD(1)),
    ignored String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY log_index SETTINGS index_granularity = 1024;

-- The attestations among them, as chains: by builder and installation.
CREATE TABLE IF NOT EXISTS statements (
    builder UInt32 CODEC(ZSTD(1)),
    stream FixedString(16) CODEC(ZSTD(1)),
    sequence UInt64 CODEC(DoubleDelta, ZSTD(1)),
    log_index UInt64 CODEC(Delta, ZSTD(1)),
    payload FixedString(32) CODEC(NONE),
    skipped Array(FixedString(32)) CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY (builder, stream, sequence, log_index);

-- Enrolments and revocations that were applied, whole: their fold is the roster.
CREATE TABLE IF NOT EXISTS roster (
    log_index UInt64,
    kind LowCardinality(String),
    body String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY log_index;

CREATE TABLE IF NOT EXISTS ecosystems (
    name String
) ENGINE = ReplacingMergeTree ORDER BY name;

-- Names of outputs. An output is numbered when a claim or a package set first names it; version is
-- 0 in the row of that, and greater where a claim named it again because a set did not say the build.
CREATE TABLE IF NOT EXISTS outputs (
    output UInt32 CODEC(Delta, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    ecosystem LowCardinality(String),
    key String CODEC(ZSTD(1)),
    build String CODEC(ZSTD(1)),
    name LowCardinality(String)
) ENGINE = ReplacingMergeTree(version) ORDER BY output SETTINGS index_granularity = 256;

-- Which outputs a build has. build is the first 8 bytes of its ID.
CREATE TABLE IF NOT EXISTS builds (
    build UInt64 CODEC(Delta, ZSTD(1)),
    output UInt32 CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY (build, output) SETTINGS index_granularity = 1024;

-- Which outputs were ever claimed to have a digest. digest is its first 8 bytes.
CREATE TABLE IF NOT EXISTS digests (
    digest UInt64 CODEC(Delta, ZSTD(1)),
    output UInt32 CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY (digest, output) SETTINGS index_granularity = 1024;

-- One row for each output that a statement claims, or that a document says in a builder's name;
-- several where a document lists the output with several digests. digest is its first 8 bytes: the
-- whole is in the output's state, or in withdrawn.
CREATE TABLE IF NOT EXISTS observations (
    output UInt32 CODEC(Delta, ZSTD(1)),
    log_index UInt64 CODEC(T64, ZSTD(1)),
    builder UInt32 CODEC(T64, ZSTD(1)),
    digest UInt64 CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree PRIMARY KEY (output, log_index) ORDER BY (output, log_index, builder, digest)
SETTINGS index_granularity = 1024;

-- The claims that builders took back, by the entry with which they did.
CREATE TABLE IF NOT EXISTS withdrawn (
    output UInt32,
    log_index UInt64,
    builder UInt32,
    digest FixedString(32)
) ENGINE = ReplacingMergeTree ORDER BY (output, log_index) SETTINGS index_granularity = 1024;

-- Third parties' documents: a row for each builder in whose name one counts, or one row without a
-- builder. id is what makes two documents the same.
CREATE TABLE IF NOT EXISTS documents (
    log_index UInt64 CODEC(DoubleDelta, ZSTD(1)),
    builder UInt32 CODEC(ZSTD(1)),
    outputs UInt32 CODEC(ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    id FixedString(32) CODEC(NONE)
) ENGINE = ReplacingMergeTree ORDER BY (builder, log_index);

CREATE TABLE IF NOT EXISTS failures (
    build UInt64,
    log_index UInt64,
    builder UInt32
) ENGINE = ReplacingMergeTree ORDER BY (build, log_index);

-- The claims that stand on each output and its verdict. An output's ID is hash and rest together:
-- an integer is looked up faster. version is the ledger index up to which (exclusively) entries are
-- folded into the row.
CREATE TABLE IF NOT EXISTS states (
    hash UInt64 CODEC(Delta, LZ4),
    rest FixedString(12) CODEC(NONE),
    version UInt64 CODEC(ZSTD(1)),
    output UInt32 CODEC(ZSTD(1)),
    state String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(version) PRIMARY KEY hash ORDER BY (hash, rest)
SETTINGS index_granularity = 32, min_compress_block_size = 1024;

-- The outputs that the batch being indexed touches.
CREATE TABLE IF NOT EXISTS touched (
    hash UInt64
) ENGINE = Memory;

CREATE TABLE IF NOT EXISTS verdict_changes (
    output UInt32 CODEC(Delta, ZSTD(1)),
    log_index UInt64 CODEC(Delta, ZSTD(1)),
    old UInt8 CODEC(ZSTD(1)),
    new UInt8 CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY (output, log_index);

-- The outputs that diverge, or did. holders are the builders whose claims count.
CREATE TABLE IF NOT EXISTS divergences (
    output UInt32,
    version UInt64,
    diverged UInt8,
    shape UInt8,
    inputs UInt8,
    since UInt64,
    previous UInt8,
    holders Array(UInt32),
    state String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(version) ORDER BY output SETTINGS index_granularity = 1024;

-- Counts of outputs by verdict at the end of each day on which one changed: of all ('') and of
-- each package set. The newest day's are the present ones.
CREATE TABLE IF NOT EXISTS counts (
    scope String,
    day Date,
    version UInt64,
    unbuilt UInt64,
    single UInt64,
    reproduced UInt64,
    diverged UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY (scope, day);

CREATE TABLE IF NOT EXISTS builders (
    builder UInt32,
    version UInt64,
    attestations UInt64,
    observations UInt64,
    last_seen DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(version) ORDER BY builder;

CREATE TABLE IF NOT EXISTS sets (
    name String,
    log_index UInt64,
    revision String,
    ecosystem LowCardinality(String),
    members UInt64,
    received_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (name, log_index);

-- Members of package sets, each with the revisions (by ledger index) in which it was so:
-- since inclusive, until exclusive, the greatest number for the newest revision.
CREATE TABLE IF NOT EXISTS set_members (
    output UInt32,
    set LowCardinality(String),
    since UInt64,
    until UInt64,
    written UInt64,
    name LowCardinality(String),
    attribute String CODEC(ZSTD(1)),
    package_version String CODEC(ZSTD(1)),
    system LowCardinality(String),
    maintainers Array(LowCardinality(String)),
    inputs Array(UInt32) CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(written) ORDER BY (set, output, since) SETTINGS index_granularity = 1024;

-- Roll-ups: what is computed over all outputs now and then. The rows of one carry its version, the
-- watermark at which it was made; it is valid when rollups has the version.
CREATE TABLE IF NOT EXISTS rollups (
    version UInt64
) ENGINE = MergeTree ORDER BY version;

CREATE TABLE IF NOT EXISTS agreement (
    version UInt64,
    a UInt32,
    b UInt32,
    common UInt64,
    agree UInt64
) ENGINE = ReplacingMergeTree ORDER BY (version, a, b);

CREATE TABLE IF NOT EXISTS builder_verdicts (
    version UInt64,
    builder UInt32,
    unbuilt UInt64,
    single UInt64,
    reproduced UInt64,
    diverged UInt64
) ENGINE = ReplacingMergeTree ORDER BY (version, builder);

CREATE TABLE IF NOT EXISTS odd_streams (
    version UInt64,
    builder UInt32,
    stream FixedString(16),
    statements UInt64,
    last UInt64,
    missing UInt64,
    forks Array(UInt64)
) ENGINE = ReplacingMergeTree ORDER BY (version, builder, stream);
