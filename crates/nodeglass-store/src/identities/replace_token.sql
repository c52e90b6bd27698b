insert into api_token (name, role, agents, token_hash, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (name) do update set
    role = excluded.role,
    agents = excluded.agents,
    token_hash = excluded.token_hash,
    created_at = excluded.created_at,
    expires_at = excluded.expires_at,
    last_used_at = null
