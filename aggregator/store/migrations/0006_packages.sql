-- Which outputs each package has, as package ecosystem tells it from their names. written is 0 in the
-- row of an output's first name, and greater where a claim named it again because a set did not say
-- the build.
CREATE TABLE IF NOT EXISTS package_outputs (
    package String CODEC(ZSTD(1)),
    ecosystem LowCardinality(String),
    output UInt32 CODEC(Delta, ZSTD(1)),
    written UInt64 CODEC(ZSTD(1)),
    package_version String CODEC(ZSTD(1)),
    system LowCardinality(String)
) ENGINE = ReplacingMergeTree(written) ORDER BY (package, ecosystem, output) SETTINGS index_granularity = 1024;

-- Their names.
CREATE TABLE IF NOT EXISTS packages (
    package String CODEC(ZSTD(1)),
    ecosystem LowCardinality(String)
) ENGINE = ReplacingMergeTree ORDER BY (package, ecosystem) SETTINGS index_granularity = 1024;

-- While this is there, both have still to be filled from outputs: package ecosystem is no SQL.
CREATE TABLE IF NOT EXISTS packages_unfilled (
    package UInt8
) ENGINE = Memory;

-- Which maintainers 1,024 members have, so that a maintainer's are found without reading all.
ALTER TABLE set_members ADD INDEX IF NOT EXISTS maintainers maintainers TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE set_members MATERIALIZE INDEX maintainers;
