-- The names of series in arrays, as their figures are: three rows for an agent of 200 series rather than 200 rows, which is what a
-- fleet that comes for the first time costs. A series' number is block * 72 and its place; the last block grows.
create table series_in_blocks (
    agent_key  integer    not null,
    block      integer    not null,
    metric     smallint[] not null,
    -- Empty for a metric of the whole host.
    device     text[]     not null,
    primary key (agent_key, block)
);
insert into series_in_blocks (agent_key, block, metric, device)
select agent_key, id / 72, array_agg(metric order by id), array_agg(device order by id)
from series
group by agent_key, id / 72;

create or replace view metrics_hourly as
select
    agent.id as agent,
    to_timestamp(rollup.hour / 1000) as hour,
    metric.path as metric,
    nullif(name.device, '') as device,
    rollup.count[name.place::integer] as count,
    rollup.mean[name.place::integer] as mean,
    rollup.min[name.place::integer] as min,
    rollup.max[name.place::integer] as max,
    -- The hour as Unix milliseconds, by which partitions are passed over.
    rollup.hour as hour_ms
from series_in_blocks as series
join agent on agent.key = series.agent_key
cross join lateral unnest(series.metric, series.device) with ordinality as name (metric, device, place)
join metric on metric.id = name.metric
join rollup on rollup.agent_key = series.agent_key and rollup.block = series.block
where rollup.count[name.place::integer] > 0;

create or replace view metrics_latest as
select
    agent.id as agent,
    to_timestamp(latest.ts / 1000.0) as timestamp,
    metric.path as metric,
    nullif(series.device[point.series % 72 + 1], '') as device,
    point.value
from latest
join agent on agent.key = latest.agent_key
cross join lateral unnest(latest.series, latest.value) as point (series, value)
join series_in_blocks as series on series.agent_key = latest.agent_key and series.block = point.series / 72
join metric on metric.id = series.metric[point.series % 72 + 1];

drop table series;
alter table series_in_blocks rename to series;
alter index series_in_blocks_pkey rename to series_pkey;
