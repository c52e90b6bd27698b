insert into api_token (name, role, agents, token_hash, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6)
on conflict (name) do nothing
