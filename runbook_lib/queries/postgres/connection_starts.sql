-- When each of the present connections was opened
-- params: limit Int64 = 2000
-- requires: role pg_read_all_stats
-- columns: pid Int64, application str, state str, started_at timestamp, last_used_at timestamp, max_connections Int64
SELECT pid,
       coalesce(nullif(application_name, ''), '(no name)') AS application,
       coalesce(state, 'starting') AS state,
       backend_start AS started_at,
       state_change AS last_used_at,
       current_setting('max_connections')::int AS max_connections
FROM pg_stat_activity
WHERE backend_type = 'client backend'
ORDER BY backend_start
LIMIT %(limit)s
