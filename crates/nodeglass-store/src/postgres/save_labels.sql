insert into registry (agent_key, labels) values ($1, $2::text::jsonb)
on conflict (agent_key) do update set labels = excluded.labels
