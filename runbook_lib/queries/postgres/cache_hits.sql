-- How many of the blocks read were found in memory, now and since the counters were reset
-- columns: database str, blocks_hit Int64, blocks_read Int64, commits Int64, rollbacks Int64, deadlocks Int64, temp_bytes Int64
-- sample: 1.5
SELECT datname::text AS database,
       blks_hit AS blocks_hit,
       blks_read AS blocks_read,
       xact_commit AS commits,
       xact_rollback AS rollbacks,
       deadlocks,
       temp_bytes
FROM pg_stat_database
WHERE datname = current_database()
