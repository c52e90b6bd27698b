select distinct on (agent_key) agent_key, ts, payload
from (
    select agent_key, ts, epoch, seq, payload from latest
    union all
    select agent.key, newest.*
    from agent
    cross join slot
    cross join lateral (
        select ts, epoch, seq, payload
        from staging
        where staging.place = slot.place and staging.agent_key = agent.key
        order by ts desc, epoch desc, seq desc
        limit 1
    ) as newest
    where agent.key > slot.done_through
) as candidate
order by agent_key, ts desc, epoch desc, seq desc
