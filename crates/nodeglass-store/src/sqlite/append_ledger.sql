insert into ledger (agent_key, stored, duplicate)
values ($1, $2, $3)
on conflict (agent_key) do update
    set stored = ledger.stored + excluded.stored, duplicate = ledger.duplicate + excluded.duplicate
