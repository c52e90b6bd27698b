select
    coalesce((select stored from ledger where agent_key = $1), 0) + coalesce((
        select sum(staging.weight)
        from slot
        cross join staging on staging.slot = slot.id
        where staging.agent_key = $1 and slot.done_through < $1
    ), 0),
    coalesce((select duplicate from ledger where agent_key = $1), 0),
    (select books from agent_side where agent_key = $1)
