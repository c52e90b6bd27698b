insert into revocation (number, key_hash, agent_key, revoked_at)
values ($1, $2, $3, $4)
on conflict (key_hash) do nothing
