-- Which locks are asked for and not granted, by table and mode
-- params: limit Int64 = 100
-- requires: postgres >= 14, role pg_read_all_stats
-- columns: lock str, relation str, mode str, sessions Int64, longest_seconds float64
SELECT locktype AS lock,
       coalesce(relation::regclass::text, '') AS relation,
       mode,
       count(*) AS sessions,
       max(extract(epoch FROM clock_timestamp() - waitstart))::float8 AS longest_seconds
FROM pg_locks
WHERE NOT granted
GROUP BY 1, 2, 3
ORDER BY 4 DESC
LIMIT %(limit)s
