-- What people and programs read by SQL. Columns are added to these views, and never taken away; see docs/sql.md. Times are
-- texts such as 2026-01-31T10:00:00.000Z, which compare as times do.

-- The hourly figures of each series. A series stands at its own place in the arrays of its block of 72.
create view metrics_hourly as
select
    agent.id as agent,
    strftime('%Y-%m-%dT%H:%M:%fZ', rollup.hour / 1000.0, 'unixepoch') as hour,
    metric.path as metric,
    nullif(series.device, '') as device,
    json_extract(rollup.count, '$[' || (series.id % 72) || ']') as count,
    json_extract(rollup.mean, '$[' || (series.id % 72) || ']') as mean,
    json_extract(rollup.min, '$[' || (series.id % 72) || ']') as min,
    json_extract(rollup.max, '$[' || (series.id % 72) || ']') as max,
    -- The hour as Unix milliseconds.
    rollup.hour as hour_ms
from series
join agent on agent.key = series.agent_key
join metric on metric.id = series.metric
join rollup on rollup.agent_key = series.agent_key and rollup.block = series.id / 72
where json_extract(rollup.count, '$[' || (series.id % 72) || ']') > 0;

-- The values of each agent's newest sample, as of about a minute ago at most.
create view metrics_latest as
select
    agent.id as agent,
    strftime('%Y-%m-%dT%H:%M:%fZ', latest.ts / 1000.0, 'unixepoch') as timestamp,
    metric.path as metric,
    nullif(series.device, '') as device,
    json_extract(latest.value, '$[' || point.key || ']') as value
from latest
join agent on agent.key = latest.agent_key
cross join json_each(latest.series) as point
join series on series.agent_key = latest.agent_key and series.id = point.value
join metric on metric.id = series.metric;

-- Both, each hour at its beginning: means of rates and levels, the last of counters.
create view metrics_points as
select agent, hour as timestamp, metric, device, mean as value from metrics_hourly
union all
select agent, timestamp, metric, device, value from metrics_latest;

create view metrics_cpu as
select agent, timestamp, value from metrics_points where metric = 'cpu.usage_percent';

create view metrics_ram as
select agent, timestamp, value from metrics_points where metric = 'memory.usage_percent';

-- The mean of a host's GPUs.
create view metrics_gpu as
select agent, timestamp, avg(value) as value
from metrics_points
where metric = 'gpu.utilization_percent'
group by agent, timestamp;

create view metrics_temperature as
select agent, timestamp, value from metrics_points where metric = 'cpu.temperature_celsius';

-- All file systems of a host together; the percentage is of what users can fill, as df has it.
create view metrics_disk as
select
    agent,
    timestamp,
    used,
    free,
    case when used + free > 0 then 100.0 * used / (used + free) end as percent
from (
    select
        agent,
        timestamp,
        sum(value) filter (where metric = 'disk.used_bytes') as used,
        sum(value) filter (where metric = 'disk.available_bytes') as free
    from metrics_points
    where metric in ('disk.used_bytes', 'disk.available_bytes')
    group by agent, timestamp
) as space;
