insert into agent (id, enrolled_at)
values ($1, $2)
on conflict (id) do nothing
returning key
