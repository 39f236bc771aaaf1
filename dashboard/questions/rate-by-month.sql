-- title: Is it getting better? The rate by month and system
-- answers: of the outputs that were compared at the end of each month in which a verdict changed, which share was reproduced, for each system that a package set names.
-- denominator: outputs whose verdict at the end of the month was reproduced or diverged. Outputs of one operator only, and those in no set with a system, are in no share.
-- chart: line
WITH
    systems AS (SELECT DISTINCT ecosystem, output, system FROM members WHERE system IS NOT NULL AND NOT fixed),
    turns AS (
        SELECT toStartOfMonth(c.received_at) AS month, s.system AS system,
            sum((c.new_verdict = 'reproduced') - (c.old_verdict = 'reproduced')) AS more_reproduced,
            sum((c.new_verdict IN ('reproduced', 'diverged')) - (c.old_verdict IN ('reproduced', 'diverged'))) AS more_compared
        FROM changes AS c
        INNER JOIN systems AS s ON s.ecosystem = c.ecosystem AND s.output = c.output
        GROUP BY month, system),
    ends AS (
        SELECT month, system,
            sum(more_reproduced) OVER (PARTITION BY system ORDER BY month) AS reproduced,
            sum(more_compared) OVER (PARTITION BY system ORDER BY month) AS compared
        FROM turns)
SELECT month, system, reproduced / compared AS rate, reproduced, compared
FROM ends
WHERE compared > 0
ORDER BY month, system
