-- title: How long until somebody else looked? Time to second opinion
-- answers: of the outputs with a second operator, how many got the first observation by it within so many hours after the first observation of all.
-- denominator: outputs that two or more operators observed, counted and open. Outputs of one operator are in no bin: the last column says how many those are.
-- chart: histogram
WITH
    firsts AS (
        SELECT o.ecosystem AS ecosystem, o.output AS output, b.operator AS operator, min(o.received_at) AS at
        FROM observations AS o INNER JOIN builders AS b ON b.builder = o.builder
        GROUP BY ecosystem, output, operator),
    sorted AS (
        SELECT ecosystem, output, arraySort(groupArray(at)) AS times FROM firsts GROUP BY ecosystem, output)
SELECT
    if(hours = 0, 0, pow(2, floor(log2(hours)))) AS from_hours,
    count() AS outputs,
    (SELECT countIf(length(times) < 2) FROM sorted) AS without_second
FROM (SELECT dateDiff('hour', times[1], times[2]) AS hours FROM sorted WHERE length(times) >= 2)
GROUP BY from_hours
ORDER BY from_hours
