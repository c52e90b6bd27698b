select (series.block * 72 + name.place - 1)::integer, name.metric, name.device
from series
cross join lateral unnest(series.metric, series.device) with ordinality as name (metric, device, place)
where agent_key = $1
order by name.metric, name.device
