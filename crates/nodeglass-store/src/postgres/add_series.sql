insert into series (agent_key, id, metric, device)
select $1, * from unnest($2::integer[], $3::smallint[], $4::text[])
