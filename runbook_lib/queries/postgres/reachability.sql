-- Who answers, since when, and is it the primary
-- columns: version str, started_at timestamp, in_recovery boolean, read_only boolean, database str, role str, superuser boolean,
--   reads_all boolean
SELECT current_setting('server_version') AS version,
       pg_postmaster_start_time() AS started_at,
       pg_is_in_recovery() AS in_recovery,
       current_setting('default_transaction_read_only')::bool AND NOT pg_is_in_recovery() AS read_only,
       current_database()::text AS database,
       current_user::text AS role,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all
