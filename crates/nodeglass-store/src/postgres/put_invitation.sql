insert into invitation (agent_key, token_hash, expires_at)
values ($1, $2, $3)
on conflict (agent_key) do update
set token_hash = excluded.token_hash, expires_at = excluded.expires_at, used_by = null
