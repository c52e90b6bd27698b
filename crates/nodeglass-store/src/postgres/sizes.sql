select
    (select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint from pg_partition_tree('staging')),
    pg_total_relation_size('chunk_small'),
    (select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint from pg_partition_tree('chunk_full')),
    (select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint from pg_partition_tree('rollup'))
        + pg_total_relation_size('series')
