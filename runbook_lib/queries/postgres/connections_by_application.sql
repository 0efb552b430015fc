-- Which application holds the connections, and which it no longer uses
-- params: unused_seconds float64 = 5.0, limit Int64 = 100
-- requires: role pg_read_all_stats
-- columns: application str, role str, clients str, sessions Int64, active Int64, idle Int64, idle_in_transaction Int64,
--   waiting_for_lock Int64, unused Int64, oldest_unused_seconds float64, first_started timestamp,
--   last_started timestamp, max_connections Int64, last_query str
SELECT coalesce(nullif(application_name, ''), '(no name)') AS application,
       coalesce(usename::text, '') AS role,
       left(string_agg(DISTINCT coalesce(host(client_addr), 'local'), ', '), 200) AS clients,
       count(*) AS sessions,
       count(*) FILTER (WHERE state = 'active') AS active,
       count(*) FILTER (WHERE state = 'idle') AS idle,
       count(*) FILTER (WHERE state LIKE 'idle in transaction%%') AS idle_in_transaction,
       count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting_for_lock,
       count(*) FILTER (WHERE state = 'idle'
                          AND clock_timestamp() - state_change > make_interval(secs => %(unused_seconds)s)) AS unused,
       max(extract(epoch FROM clock_timestamp() - state_change)) FILTER (WHERE state = 'idle')::float8 AS oldest_unused_seconds,
       min(backend_start) AS first_started,
       max(backend_start) AS last_started,
       current_setting('max_connections')::int AS max_connections,
       left((array_agg(query ORDER BY state_change DESC NULLS LAST))[1], 300) AS last_query
FROM pg_stat_activity
WHERE backend_type = 'client backend'
GROUP BY 1, 2
ORDER BY 4 DESC
LIMIT %(limit)s
