insert into series (agent_key, block, metric, device)
select $1, id / $5, array_agg(metric order by id), array_agg(device order by id)
from unnest($2::integer[], $3::smallint[], $4::text[]) as added (id, metric, device)
group by id / $5
on conflict (agent_key, block) do update
    set metric = series.metric || excluded.metric, device = series.device || excluded.device
