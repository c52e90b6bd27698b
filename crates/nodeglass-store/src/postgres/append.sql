insert into staging (ts, agent_key, epoch, seq, payload)
select * from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::bytea[])
on conflict do nothing
