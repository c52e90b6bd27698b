insert into ledger (agent_key, duplicate)
select * from unnest($1::integer[], $2::bigint[])
on conflict (agent_key) do update set duplicate = ledger.duplicate + excluded.duplicate
