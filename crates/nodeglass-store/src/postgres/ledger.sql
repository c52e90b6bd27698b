select
    coalesce((select stored from ledger where agent_key = $1), 0) + coalesce((
        select sum(staging.weight)
        from staging
        join slot on slot.place = staging.place
        where staging.agent_key = $1 and staging.agent_key > slot.done_through
    ), 0)::bigint,
    coalesce((select duplicate from ledger where agent_key = $1), 0),
    (select books from agent_side where agent_key = $1)
