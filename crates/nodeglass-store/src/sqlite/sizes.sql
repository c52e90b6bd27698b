select
    (select coalesce(sum(pgsize), 0) from dbstat where aggregate = true and name in ('staging', 'staging_key')),
    (select coalesce(sum(pgsize), 0) from dbstat where aggregate = true and name in ('chunk', 'chunk_key', 'chunk_by_end')),
    (select coalesce(sum(length(directory) + length(payload)), 0) from chunk where level = 0),
    (select coalesce(sum(pgsize), 0) from dbstat where aggregate = true and name in ('rollup', 'rollup_by_hour', 'series'))
