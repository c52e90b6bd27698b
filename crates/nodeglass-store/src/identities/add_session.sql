insert into session (
    token_hash, id, kind, name, role, agents, provider, created_at, last_seen_at, expires_at, address
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
