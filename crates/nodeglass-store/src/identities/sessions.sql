select token_hash, id, kind, name, role, agents, provider, created_at, last_seen_at, expires_at, address from session order by created_at, id
