with newest as materialized (
    select agent_key, max(ts) as ts
    from slot
    cross join staging on staging.slot = slot.id
    where staging.agent_key > slot.done_through
    group by agent_key
), candidate as (
    select agent_key, ts, epoch, seq, payload from latest
    union all
    select staging.agent_key, staging.ts, epoch, seq, payload
    from newest
    cross join slot
    cross join staging on staging.slot = slot.id and staging.ts = newest.ts and staging.agent_key = newest.agent_key
    where staging.agent_key > slot.done_through
), ranked as (
    select *, row_number() over (partition by agent_key order by ts desc, epoch desc, seq desc) as place from candidate
)
select agent_key, ts, payload from ranked where place = 1
