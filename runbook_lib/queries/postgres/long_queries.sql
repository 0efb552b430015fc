-- Which statements have been running for long
-- params: seconds float64 = 1.0, limit Int64 = 50
-- requires: role pg_read_all_stats
-- columns: pid Int64, application str, role str, client str, running_seconds float64, waits_for str, query str, backend_start timestamp
SELECT pid,
       coalesce(nullif(application_name, ''), '(no name)') AS application,
       coalesce(usename::text, '') AS role,
       coalesce(host(client_addr), 'local') AS client,
       extract(epoch FROM clock_timestamp() - query_start)::float8 AS running_seconds,
       coalesce(wait_event_type || ': ' || wait_event, '') AS waits_for,
       left(query, 300) AS query,
       backend_start
FROM pg_stat_activity
WHERE backend_type = 'client backend'
  AND state = 'active'
  AND pid <> pg_backend_pid()
  AND clock_timestamp() - query_start > make_interval(secs => %(seconds)s)
ORDER BY query_start
LIMIT %(limit)s
