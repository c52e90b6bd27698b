delete from chunk where rev in (
    select rev
    from chunk
    left join agent on agent.key = chunk.agent_key
    where level = 1 and t1 <= $1 - $2 and t1 <= $1 - coalesce(agent.keep_raw_ms, $3)
    limit $4
)
