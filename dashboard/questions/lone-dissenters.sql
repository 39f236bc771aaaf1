-- title: Who stands alone? Lone dissenters
-- answers: of the divergences in which one operator is against all others, who agree (shape outlier), how many each operator is alone in.
-- denominator: outputs that are diverged now; the last column counts those of any shape, and share is of them.
-- chart: bar
WITH
    newest AS (
        SELECT o.ecosystem AS ecosystem, o.output AS output, b.operator AS operator, argMax(o.digest, o.ledger_index) AS digest
        FROM observations AS o INNER JOIN builders AS b ON b.builder = o.builder
        WHERE b.tier = 'counted' AND NOT b.revoked AND NOT o.ambiguous
        GROUP BY ecosystem, output, operator),
    factions AS (
        SELECT n.ecosystem AS ecosystem, n.output AS output, n.digest AS digest, groupArray(n.operator) AS operators
        FROM newest AS n
        INNER JOIN verdicts AS v ON v.ecosystem = n.ecosystem AND v.output = n.output
        WHERE v.verdict = 'diverged' AND v.shape = 'outlier'
        GROUP BY ecosystem, output, digest)
SELECT
    operators[1] AS operator,
    count() AS alone,
    alone / (SELECT count() FROM verdicts WHERE verdict = 'diverged') AS share,
    (SELECT count() FROM verdicts WHERE verdict = 'diverged') AS diverged
FROM factions
WHERE length(operators) = 1
GROUP BY operator
ORDER BY alone DESC, operator
