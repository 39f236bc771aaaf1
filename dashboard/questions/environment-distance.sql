-- title: Do different machines build differently? Agreement by distance
-- answers: for two builds of one output by different operators, the share that got the same digest, by the number of traits in which their machines differ.
-- denominator: pairs of observations of one output by different operators that both say their environment, each operator with its newest.
-- chart: line
WITH
    newest AS (
        SELECT sipHash64(o.ecosystem, o.output) AS what, b.operator AS operator,
            argMax(sipHash64(o.digest), o.ledger_index) AS got, argMax(o.environment, o.ledger_index) AS environment
        FROM observations AS o INNER JOIN builders AS b ON b.builder = o.builder
        WHERE o.environment IS NOT NULL
        GROUP BY what, operator),
    pairs AS (
        SELECT a.environment AS one, b.environment AS another, countIf(a.got = b.got) AS same, count() AS n
        FROM newest AS a INNER JOIN newest AS b ON a.what = b.what
        WHERE a.operator < b.operator
        GROUP BY one, another),
    traits AS (
        SELECT environment, [build_dir, compiler, cores, cpu, filesystem, go, kernel, locale, nix, os, sandbox, system, trimpath, tz, umask] AS said
        FROM environments)
SELECT
    arrayCount((x, y) -> ifNull(x, '') != ifNull(y, ''), t.said, u.said) AS traits_that_differ,
    sum(p.same) / sum(p.n) AS agreement,
    sum(p.same) AS same,
    sum(p.n) AS pairs
FROM pairs AS p
INNER JOIN traits AS t ON t.environment = p.one
INNER JOIN traits AS u ON u.environment = p.another
GROUP BY traits_that_differ
ORDER BY traits_that_differ
