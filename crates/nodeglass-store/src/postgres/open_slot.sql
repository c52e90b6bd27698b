select id, place, opened_at, pg_relation_size('staging_' || place) from slot where closed_at is null
