insert into fleet_token (name, token_hash, created_at, expires_at, max_uses, pattern, labels)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (name) do nothing
