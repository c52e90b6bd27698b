insert into agent_group (name, place, selector, settings) values ($1, $2, $3, $4)
on conflict (name) do update set place = excluded.place, selector = excluded.selector, settings = excluded.settings
