select chunk.*
from unnest($2::bigint[], $3::integer[]) as wanted (t0, rev)
cross join lateral (
    select t0, rev, t1, level, n, directory, payload
    from chunk
    where chunk.agent_key = $1 and chunk.t0 = wanted.t0 and chunk.rev = wanted.rev
    limit 1
) as chunk
order by t0, rev
