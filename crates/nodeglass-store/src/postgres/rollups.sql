-- Each element of an array that is looked at takes as long as finding its row. So hours without samples, and the order of
-- hours, are left to the reader, and bounds are looked at where they are wanted ($6).
-- The first row is the version of the hours that are seen.
select
    0::bigint,
    array[coalesce((select rollup_version from ledger where agent_key = $1), 0)],
    null,
    null,
    null,
    null
union all
select wanted.number, sums.*
from unnest($2::smallint[], $3::text[]) with ordinality as wanted (metric, device, number)
join (
    select block, name.metric, name.device, name.place::integer as place
    from series
    cross join lateral unnest(series.metric, series.device) with ordinality as name (metric, device, place)
    where agent_key = $1
) as known on known.metric = wanted.metric and known.device = wanted.device
cross join lateral (
    select
        array_agg(hour),
        array_agg(count[known.place]),
        array_agg(mean[known.place]),
        array_agg(min[known.place]) filter (where $6),
        array_agg(max[known.place]) filter (where $6)
    from rollup
    where rollup.agent_key = $1 and rollup.block = known.block and hour >= $4 and hour < $5
    having count(*) > 0
) as sums
