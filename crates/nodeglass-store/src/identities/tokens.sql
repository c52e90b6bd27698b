select name, role, agents, token_hash, created_at, expires_at, last_used_at from api_token order by name
