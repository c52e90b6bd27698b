select wanted.agent_key, chunk.*
from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[]) as wanted (agent_key, first, start, stop)
cross join lateral (
    select t0, rev, t1, level, n, directory
    from chunk
    where chunk.agent_key = wanted.agent_key
        and t0 >= wanted.first and t0 < wanted.stop and t1 > wanted.start
) as chunk
order by 1, 2, 3
