with inserted as (
    insert into staging_$place (place, agent_key, ts, epoch, seq, payload, weight)
    select $place, * from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::integer[])
    on conflict do nothing
    returning agent_key, weight
)
select agent_key, sum(weight)::bigint from inserted group by agent_key
