insert into agent_side (agent_key, books)
select * from unnest($1::integer[], $2::text[])
on conflict (agent_key) do update set books = excluded.books
