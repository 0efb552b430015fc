-- Which statements take the time, in total and on average, now and since the counters were reset
-- params: top Int64 = 300
-- requires: postgres >= 14, role pg_read_all_stats
-- columns: queryid str, query str, calls Int64, total_ms float64, mean_ms float64, rows Int64, blocks_read Int64, blocks_hit Int64
-- sample: 2.0
SELECT s.queryid::text AS queryid,
       left(s.query, 1000) AS query,
       s.calls,
       s.total_exec_time AS total_ms,
       s.mean_exec_time AS mean_ms,
       s.rows,
       s.shared_blks_read AS blocks_read,
       s.shared_blks_hit AS blocks_hit
FROM pg_stat_statements s
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND s.toplevel
ORDER BY s.total_exec_time DESC
LIMIT %(top)s
