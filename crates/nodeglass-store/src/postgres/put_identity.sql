insert into agent_identity (agent_key, key_hash, enrolled_at, fleet)
values ($1, $2, $3, $4)
on conflict (agent_key) do update
set key_hash = excluded.key_hash, enrolled_at = excluded.enrolled_at, fleet = excluded.fleet
