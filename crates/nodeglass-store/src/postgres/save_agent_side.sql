insert into agent_side (agent_key, books)
values ($1, $2)
on conflict (agent_key) do update set books = excluded.books
