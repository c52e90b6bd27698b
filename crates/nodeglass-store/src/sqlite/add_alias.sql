insert into alias (agent_key, id, since) values ($1, $2, $3) on conflict (agent_key, id) do update set since = excluded.since
