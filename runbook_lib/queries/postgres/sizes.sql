-- How big the database and its biggest tables are
-- params: top Int64 = 20
-- columns: name str, kind str, total_bytes Int64, index_bytes Int64, dead_rows Int64, live_rows Int64, oldest_transaction_age Int64
(SELECT d.datname::text AS name, 'database' AS kind, pg_database_size(d.oid) AS total_bytes, NULL::bigint AS index_bytes,
        NULL::bigint AS dead_rows, NULL::bigint AS live_rows, age(d.datfrozenxid)::bigint AS oldest_transaction_age
 FROM pg_database d WHERE d.datname = current_database())
UNION ALL
(SELECT s.schemaname || '.' || s.relname, 'table', pg_total_relation_size(s.relid), pg_indexes_size(s.relid),
        s.n_dead_tup, s.n_live_tup, age(c.relfrozenxid)::bigint
 FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
 ORDER BY 3 DESC
 LIMIT %(top)s)
