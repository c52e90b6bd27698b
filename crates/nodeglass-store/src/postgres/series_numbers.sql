select wanted.number, series.id
from unnest($2::smallint[], $3::text[]) with ordinality as wanted (metric, device, number)
join series on series.agent_key = $1 and series.metric = wanted.metric and series.device = wanted.device
order by wanted.number
