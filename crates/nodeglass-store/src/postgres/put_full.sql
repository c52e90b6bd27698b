insert into chunk_full (agent_key, t0, rev, t1, level, n, directory, payload)
select agent_key, t0, nextval('chunk_rev'), t1, 1, n, directory, payload
from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::integer[], $5::bytea[], $6::bytea[])
    as chunk (agent_key, t0, t1, n, directory, payload)
