(
    select chunk_early.agent_key, t0, rev
    from chunk_early
    left join agent on agent.key = chunk_early.agent_key
    where t1 <= $1::bigint - $2 and t1 <= $1 - coalesce(agent.keep_raw_ms, $3)
    limit $5
)
union
(
    select old.*
    from agent
    cross join lateral (
        select agent_key, t0, rev
        from chunk_full
        where chunk_full.agent_key = agent.key
            and t0 < $1 - coalesce(agent.keep_raw_ms, $3) and t1 <= $1 - coalesce(agent.keep_raw_ms, $3)
        limit $5
    ) as old
    where coalesce(agent.keep_raw_ms, $3) < $4
    limit $5
)
order by 1
limit $5
