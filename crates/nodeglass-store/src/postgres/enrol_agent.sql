insert into agent (id, token_hash, enrolled_at)
values ($1, $2, $3)
on conflict (id) do nothing
returning key
