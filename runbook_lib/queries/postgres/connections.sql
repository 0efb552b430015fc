-- How many connections are used, by state, against what the server allows
-- requires: role pg_read_all_stats
-- columns: state str, sessions Int64, longest_in_state_seconds float64, max_connections Int64, reserved Int64
SELECT coalesce(state, 'starting') AS state,
       count(*) AS sessions,
       max(extract(epoch FROM clock_timestamp() - coalesce(state_change, backend_start)))::float8 AS longest_in_state_seconds,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved
FROM pg_stat_activity
WHERE backend_type = 'client backend'
GROUP BY 1
ORDER BY 2 DESC
