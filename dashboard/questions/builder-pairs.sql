-- title: Who agrees with whom? Pairs of builders
-- answers: for each two builders of different operators, the share of the outputs that both built on which they got the same digest.
-- denominator: outputs that both builders observed, each with the newest digest that it observed. Ambiguous lines of documents are left out.
-- chart: heatmap
WITH
    newest AS (
        SELECT sipHash64(ecosystem, output) AS what, builder, argMax(sipHash64(digest), ledger_index) AS got
        FROM observations WHERE NOT ambiguous GROUP BY what, builder),
    pairs AS (
        SELECT a.builder AS one, b.builder AS another, countIf(a.got = b.got) AS same, count() AS both
        FROM newest AS a INNER JOIN newest AS b ON a.what = b.what
        WHERE a.builder != b.builder
        GROUP BY one, another)
SELECT
    concat(a.operator, ' ', substring(a.builder, 1, 8)) AS builder,
    concat(b.operator, ' ', substring(b.builder, 1, 8)) AS other,
    p.same / p.both AS agreement,
    p.same AS same,
    p.both AS both
FROM pairs AS p
INNER JOIN builders AS a ON a.builder = p.one
INNER JOIN builders AS b ON b.builder = p.another
WHERE a.operator != b.operator
ORDER BY builder, other
