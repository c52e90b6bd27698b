insert into registry (agent_key, settings) values ($1, $2)
on conflict (agent_key) do update set settings = excluded.settings
