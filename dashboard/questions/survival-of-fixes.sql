-- title: Do fixes last? Survival of fixes
-- answers: of the outputs that went from diverged to reproduced, the share that was still reproduced so many days later.
-- denominator: changes from diverged to reproduced that came at least so many days before the newest observation of the snapshot: all of them could have lasted so long.
-- chart: line
WITH
    (SELECT max(received_at) FROM observations) AS newest,
    spans AS (
        SELECT received_at AS began, old_verdict, new_verdict,
            leadInFrame(received_at, 1) OVER (PARTITION BY ecosystem, output ORDER BY ledger_index
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS next
        FROM changes),
    lives AS (
        SELECT intDiv(dateDiff('second', began, if(next > began, next, newest)), 86400) AS days,
            intDiv(dateDiff('second', began, newest), 86400) AS age, count() AS n
        FROM spans WHERE old_verdict = 'diverged' AND new_verdict = 'reproduced'
        GROUP BY days, age)
SELECT
    day,
    sumIf(l.n, l.days >= day) / sum(l.n) AS still_reproduced,
    sumIf(l.n, l.days >= day) AS lasted,
    sum(l.n) AS followed
FROM lives AS l
CROSS JOIN (SELECT arrayJoin(range(0, 366)) AS day) AS d
WHERE l.age >= day
GROUP BY day
ORDER BY day
