insert into registry (agent_key, settings) values ($1, $2::text::jsonb)
on conflict (agent_key) do update set settings = excluded.settings
