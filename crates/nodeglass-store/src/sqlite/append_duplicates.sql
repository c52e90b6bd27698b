insert into ledger (agent_key, duplicate)
values ($1, $2)
on conflict (agent_key) do update set duplicate = ledger.duplicate + excluded.duplicate
