insert into event (id, at, agent_key, agent, kind, detail) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do nothing
