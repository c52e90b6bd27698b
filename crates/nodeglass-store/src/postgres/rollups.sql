select wanted.number, sums.*
from unnest($2::smallint[], $3::text[]) with ordinality as wanted (metric, device, number)
join series on series.agent_key = $1 and series.metric = wanted.metric and series.device = wanted.device
cross join lateral (
    select array_agg(hour), array_agg(count), array_agg(mean), array_agg(min), array_agg(max)
    from (
        select
            hour,
            count[series.id % $6 + 1] as count,
            mean[series.id % $6 + 1] as mean,
            min[series.id % $6 + 1] as min,
            max[series.id % $6 + 1] as max
        from rollup
        where rollup.agent_key = $1 and rollup.block = series.id / $6 and hour >= $4 and hour < $5
        order by hour
    ) as point
    where count > 0
    having count(*) > 0
) as sums
order by wanted.number
