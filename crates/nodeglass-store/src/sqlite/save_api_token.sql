insert into api_token (name, role, token_hash, created_at)
values ($1, $2, $3, $4)
on conflict (name) do update set role = excluded.role, token_hash = excluded.token_hash, created_at = excluded.created_at
