insert into agent_group (name, place, selector, settings) values ($1, $2, $3::text::jsonb, $4::text::jsonb)
on conflict (name) do update set place = excluded.place, selector = excluded.selector, settings = excluded.settings
