-- Which indexes there are, on which columns, valid or not
-- params: limit Int64 = 1000
-- columns: schema_name str, table_name str, index_name str, columns json, is_valid boolean, is_unique boolean,
--   is_partial boolean, scans Int64, bytes Int64
SELECT n.nspname::text AS schema_name,
       t.relname::text AS table_name,
       c.relname::text AS index_name,
       (SELECT json_agg(coalesce(a.attname::text, '(expression)') ORDER BY k.ord)
        FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, ord)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0) AS columns,
       i.indisvalid AS is_valid,
       i.indisunique AS is_unique,
       i.indpred IS NOT NULL AS is_partial,
       coalesce(s.idx_scan, 0) AS scans,
       pg_relation_size(c.oid) AS bytes
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
ORDER BY 1, 2, 3
LIMIT %(limit)s
