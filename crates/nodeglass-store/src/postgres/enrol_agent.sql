-- The key of an agent of that name whose data was kept, or one that no agent ever had.
with back as (
    delete from forgotten
    where id = $1 and keeps_data and not exists (select from agent where agent.id = $1)
    returning agent_key
)
insert into agent (key, id, enrolled_at) overriding system value
values (
    coalesce((select max(agent_key) from back), nextval(pg_get_serial_sequence('agent', 'key'))::integer),
    $1, $2)
on conflict (id) do nothing
returning key
