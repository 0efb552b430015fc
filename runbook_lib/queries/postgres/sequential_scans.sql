-- Which big tables are read from end to end, how often, now and since the counters were reset
-- params: min_rows Int64 = 10000, top Int64 = 100
-- columns: schema_name str, table_name str, live_rows Int64, table_bytes Int64, seq_scans Int64, rows_read Int64, index_scans Int64
-- sample: 1.5
SELECT schemaname::text AS schema_name,
       relname::text AS table_name,
       n_live_tup AS live_rows,
       pg_relation_size(relid) AS table_bytes,
       seq_scan AS seq_scans,
       seq_tup_read AS rows_read,
       coalesce(idx_scan, 0) AS index_scans
FROM pg_stat_user_tables
WHERE n_live_tup >= %(min_rows)s
ORDER BY seq_tup_read DESC
LIMIT %(top)s
