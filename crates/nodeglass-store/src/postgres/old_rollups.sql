(
    select rollup_early.agent_key, block, hour
    from rollup_early
    left join agent on agent.key = rollup_early.agent_key
    where hour <= $1::bigint - $2 - 3600000 and hour <= $1 - 3600000 - coalesce(agent.keep_rollups_ms, $3)
    limit $5
)
union
(
    select old.*
    from agent
    cross join lateral (
        select agent_key, block, hour
        from rollup
        where rollup.agent_key = agent.key and hour <= $1 - 3600000 - coalesce(agent.keep_rollups_ms, $3)
        limit $5
    ) as old
    where coalesce(agent.keep_rollups_ms, $3) < $4
    limit $5
)
order by 1
limit $5
