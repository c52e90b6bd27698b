select chunk.slice
from unnest($2::bigint[], $3::integer[], $4::integer[], $5::integer[])
    with ordinality as wanted (t0, rev, first, length, number)
left join lateral (
    select substring(payload from wanted.first + 1 for wanted.length) as slice
    from chunk
    where chunk.agent_key = $1 and chunk.t0 = wanted.t0 and chunk.rev = wanted.rev
        and chunk.t0 between $6 and $7
    limit 1
) as chunk on true
order by wanted.number
