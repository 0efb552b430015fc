-- Which replicas follow, how far behind they are, and what their slots hold back
-- requires: role pg_read_all_stats
-- columns: name str, kind str, state str, active boolean, lag_bytes Int64, lag_seconds float64, wal_status str
SELECT coalesce(nullif(application_name, ''), client_addr::text, pid::text) AS name,
       'replica' AS kind,
       coalesce(state, '') AS state,
       true AS active,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, replay_lsn)::bigint AS lag_bytes,
       extract(epoch FROM replay_lag)::float8 AS lag_seconds,
       '' AS wal_status
FROM pg_stat_replication
UNION ALL
SELECT slot_name::text, 'slot', slot_type, active,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)::bigint,
       NULL::float8, coalesce(wal_status, '')
FROM pg_replication_slots
UNION ALL
SELECT 'this server', 'replay', CASE WHEN pg_is_wal_replay_paused() THEN 'paused' ELSE 'replaying' END, true,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8, ''
WHERE pg_is_in_recovery()
