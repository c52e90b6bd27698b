select
    coalesce((select stored from ledger where agent_key = $1), 0),
    coalesce((select duplicate from ledger where agent_key = $1), 0),
    (select books from agent_side where agent_key = $1)
