-- What people and programs read by SQL. Columns are added to these views, and never taken away; see docs/sql.md.

-- The hourly figures of each series. A series stands at its own place in the arrays of its block of 72.
create view metrics_hourly as
select
    agent.id as agent,
    to_timestamp(rollup.hour / 1000) as hour,
    metric.path as metric,
    nullif(series.device, '') as device,
    rollup.count[series.id % 72 + 1] as count,
    rollup.mean[series.id % 72 + 1] as mean,
    rollup.min[series.id % 72 + 1] as min,
    rollup.max[series.id % 72 + 1] as max,
    -- The hour as Unix milliseconds, by which partitions are passed over.
    rollup.hour as hour_ms
from series
join agent on agent.key = series.agent_key
join metric on metric.id = series.metric
join rollup on rollup.agent_key = series.agent_key and rollup.block = series.id / 72
where rollup.count[series.id % 72 + 1] > 0;

-- The values of each agent's newest sample, as of about a minute ago at most.
create view metrics_latest as
select
    agent.id as agent,
    to_timestamp(latest.ts / 1000.0) as timestamp,
    metric.path as metric,
    nullif(series.device, '') as device,
    point.value
from latest
join agent on agent.key = latest.agent_key
cross join lateral unnest(latest.series, latest.value) as point (series, value)
join series on series.agent_key = latest.agent_key and series.id = point.series
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
    case when used + free > 0 then 100 * used / (used + free) end as percent
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

-- A role that reads these views and nothing else, if we may make one. Roles are the whole server's, so another database
-- may have it already, or make it at this moment.
do $$
declare
    may_create constant boolean := (select rolsuper or rolcreaterole from pg_roles where rolname = current_user);
begin
    if may_create and not exists (select from pg_roles where rolname = 'nodeglass_reader') then
        begin
            create role nodeglass_reader nologin;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end if;
    if exists (select from pg_roles where rolname = 'nodeglass_reader') then
        execute format('grant usage on schema %I to nodeglass_reader', current_schema());
        grant select on
            metrics_hourly, metrics_latest, metrics_points,
            metrics_cpu, metrics_ram, metrics_gpu, metrics_temperature, metrics_disk
            to nodeglass_reader;
    end if;
end $$;
