insert into ledger (agent_key, agent_side)
values ($1, $2)
on conflict (agent_key) do update set agent_side = excluded.agent_side
