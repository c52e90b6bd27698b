insert into event (id, at, agent_key, agent, kind, detail)
select id, at, agent_key, agent, kind, detail::jsonb
from unnest($1::bigint[], $2::bigint[], $3::integer[], $4::text[], $5::text[], $6::text[])
    as new (id, at, agent_key, agent, kind, detail)
on conflict (id) do nothing
