-- title: Which traits matter? Where machines differ, and outputs with them
-- answers: for each trait of machines, how often two builds of one output differ where the machines differ in the trait, less how often they differ where the machines agree in it. What has a large difference goes along with divergence; that is no proof of a cause.
-- denominator: pairs of observations of one output by different operators whose machines both say the trait: those with another value of it, and those with the same. A trait in which no pair differs is left out.
-- chart: bar
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
        SELECT environment, pair.1 AS trait, pair.2 AS said
        FROM environments
        ARRAY JOIN [('build_dir', build_dir), ('compiler', compiler), ('cores', cores), ('cpu', cpu), ('filesystem', filesystem), ('go', go),
            ('kernel', kernel), ('locale', locale), ('nix', nix), ('os', os), ('sandbox', sandbox), ('system', system), ('trimpath', trimpath),
            ('tz', tz), ('umask', umask)] AS pair
        WHERE pair.2 IS NOT NULL),
    counted AS (
        SELECT t.trait AS trait,
            sumIf(p.n - p.same, t.said != u.said) AS differ_with_another_value, sumIf(p.n, t.said != u.said) AS pairs_with_another_value,
            sumIf(p.n - p.same, t.said = u.said) AS differ_with_the_same_value, sumIf(p.n, t.said = u.said) AS pairs_with_the_same_value
        FROM pairs AS p
        INNER JOIN traits AS t ON t.environment = p.one
        INNER JOIN traits AS u ON u.environment = p.another AND u.trait = t.trait
        GROUP BY trait)
SELECT
    trait,
    differ_with_another_value / greatest(pairs_with_another_value, 1) - differ_with_the_same_value / greatest(pairs_with_the_same_value, 1) AS difference,
    differ_with_another_value, pairs_with_another_value, differ_with_the_same_value, pairs_with_the_same_value
FROM counted
WHERE pairs_with_another_value > 0
ORDER BY abs(difference) DESC, trait
