select wanted.number, sums.*
from unnest($2::smallint[], $3::text[]) with ordinality as wanted (metric, device, number)
join (
    select block, name.metric, name.device, name.place::integer as place
    from series
    cross join lateral unnest(series.metric, series.device) with ordinality as name (metric, device, place)
    where agent_key = $1
) as known on known.metric = wanted.metric and known.device = wanted.device
cross join lateral (
    select array_agg(hour), array_agg(count), array_agg(mean), array_agg(min), array_agg(max)
    from (
        select
            hour,
            count[known.place] as count,
            mean[known.place] as mean,
            min[known.place] as min,
            max[known.place] as max
        from rollup
        where rollup.agent_key = $1 and rollup.block = known.block and hour >= $4 and hour < $5
        order by hour
    ) as point
    where count > 0
    having count(*) > 0
) as sums
order by wanted.number
