insert into rollup (agent_key, block, hour, count, mean, min, max)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (agent_key, block, hour) do update
    set count = excluded.count, mean = excluded.mean, min = excluded.min, max = excluded.max
