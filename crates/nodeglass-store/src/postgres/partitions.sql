select
    child.relname::text,
    (regexp_match(pg_get_expr(child.relpartbound, child.oid), 'TO \(''?(\d+)'))[1]::bigint
from pg_inherits
join pg_class as child on child.oid = inhrelid
where inhparent = $1::regclass
order by 2
