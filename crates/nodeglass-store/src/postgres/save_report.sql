insert into registry (agent_key, report) values ($1, $2::text::jsonb)
on conflict (agent_key) do update set report = excluded.report
