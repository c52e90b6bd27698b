delete from rollup where (agent_key, block, hour) in (
    select agent_key, block, hour
    from rollup
    left join agent on agent.key = rollup.agent_key
    where hour <= $1 - 3600000 - $2 and hour <= $1 - 3600000 - coalesce(agent.keep_rollups_ms, $3)
    limit $4
)
