insert into agent (key, id, enrolled_at)
values (
    -- The key of an agent of that name whose data was kept, or one that no agent ever had.
    coalesce(
        (select agent_key from forgotten where id = $1 and keeps_data order by at desc limit 1),
        1 + max(coalesce((select max(key) from agent), 0), coalesce((select max(agent_key) from forgotten), 0))),
    $1, $2)
on conflict (id) do nothing
returning key
