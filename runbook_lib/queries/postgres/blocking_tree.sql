-- Who waits for whom, who is at the root of it, what it runs, and since when
-- params: limit Int64 = 500
-- requires: postgres >= 14, role pg_read_all_stats
-- columns: pid Int64, blocked_by json, application str, role str, client str, state str, query str, waits_for str,
--   waiting_seconds float64, transaction_seconds float64, in_state_seconds float64, backend_start timestamp, relations json
WITH waiting AS (
  SELECT pid, pg_blocking_pids(pid) AS blocked_by
  FROM pg_stat_activity
  WHERE wait_event_type = 'Lock'
), members AS (
  SELECT pid FROM waiting
  UNION
  SELECT unnest(blocked_by) FROM waiting
), waits AS (
  SELECT pid, min(waitstart) AS since,
         min(locktype || coalesce(' on ' || relation::regclass::text, '')) AS what
  FROM pg_locks
  WHERE NOT granted AND pid IN (SELECT pid FROM members)
  GROUP BY pid
), held AS (
  SELECT l.pid, json_agg(DISTINCT jsonb_build_object('table', c.relname, 'mode', l.mode)) AS relations
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
  WHERE l.granted AND c.relkind IN ('r', 'p') AND c.relnamespace <> 'pg_catalog'::regnamespace
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.pid IN (SELECT pid FROM members)
  GROUP BY l.pid
)
SELECT a.pid,
       to_json(coalesce(w.blocked_by, '{}')) AS blocked_by,
       coalesce(nullif(a.application_name, ''), '(no name)') AS application,
       coalesce(a.usename::text, '') AS role,
       coalesce(host(a.client_addr), 'local') AS client,
       coalesce(a.state, '') AS state,
       left(a.query, 300) AS query,
       coalesce(waits.what, '') AS waits_for,
       extract(epoch FROM clock_timestamp() - waits.since)::float8 AS waiting_seconds,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_seconds,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS in_state_seconds,
       a.backend_start,
       coalesce(held.relations, '[]') AS relations
FROM members m
JOIN pg_stat_activity a USING (pid)
LEFT JOIN waiting w USING (pid)
LEFT JOIN waits USING (pid)
LEFT JOIN held USING (pid)
ORDER BY w.pid IS NOT NULL, waits.since
LIMIT %(limit)s
