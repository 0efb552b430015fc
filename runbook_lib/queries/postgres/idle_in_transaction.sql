-- Which sessions opened a transaction and went silent
-- params: limit Int64 = 100
-- requires: role pg_read_all_stats
-- columns: pid Int64, application str, role str, client str, idle_seconds float64, transaction_seconds float64,
--   blocks Int64, query str, backend_start timestamp, relations json
WITH blocked AS (
  SELECT unnest(pg_blocking_pids(pid)) AS pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'
)
SELECT a.pid,
       coalesce(nullif(a.application_name, ''), '(no name)') AS application,
       coalesce(a.usename::text, '') AS role,
       coalesce(host(a.client_addr), 'local') AS client,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS idle_seconds,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_seconds,
       (SELECT count(*) FROM blocked b WHERE b.pid = a.pid) AS blocks,
       left(a.query, 300) AS query,
       a.backend_start,
       coalesce((SELECT json_agg(DISTINCT c.relname)
                 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                 WHERE l.pid = a.pid AND l.granted AND c.relkind IN ('r', 'p')
                   AND c.relnamespace <> 'pg_catalog'::regnamespace
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())), '[]') AS relations
FROM pg_stat_activity a
WHERE a.backend_type = 'client backend'
  AND a.state LIKE 'idle in transaction%%'
  AND a.application_name NOT LIKE 'runbook/%%'
ORDER BY a.state_change
LIMIT %(limit)s
