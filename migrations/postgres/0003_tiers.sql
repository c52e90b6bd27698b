-- The three tiers: staging in slots of arrival time, chunks, hourly rollups. Times are Unix milliseconds.

-- A slot is a stretch of arrival time. Samples go to the one that is open; a closed one never changes again, becomes small
-- chunks agent after agent (done_through), and is emptied as a whole once it is done. There are eight places for slots,
-- each a table, so that no table is made or dropped while samples come in.
create table slot (
    id            bigint    generated always as identity primary key,
    place         smallint  not null unique check (place between 0 and 7),
    opened_at     bigint    not null,
    closed_at     bigint,
    done_at       bigint,
    -- Agents up to this key are in chunks. One less than the lowest key: none. The highest: all.
    done_through  bigint    not null default -2147483649,
    -- No sample of the slot is earlier or later; kept a little wide, so that few appends change it.
    min_ts        bigint    not null default 9223372036854775807,
    max_ts        bigint    not null default -9223372036854775808
);

create unique index one_open_slot on slot ((true)) where closed_at is null;

-- What was staged before becomes the first closed slot. Its samples are in the ledger already, so they weigh nothing.
insert into slot (place, opened_at, closed_at, min_ts, max_ts)
select 0, at, at, coalesce(min, 0), coalesce(max, 0)
from (select (extract(epoch from now()) * 1000)::bigint as at) as clock,
    (select min(ts), max(ts) from staging) as span;
insert into slot (place, opened_at) values (1, (extract(epoch from now()) * 1000)::bigint);

-- The newest sample of each agent, as the server last said; staging may have a newer one. The arrays hold its values, by the
-- numbers of the agent's series.
alter table latest
    add column payload bytea,
    add column series integer[],
    add column value float8[];
update latest set payload = staging.payload
from staging
where staging.ts = latest.ts and staging.agent_key = latest.agent_key
    and staging.epoch = latest.epoch and staging.seq = latest.seq;
alter table latest alter column payload set storage external;

alter table staging rename to staging_0;
alter table staging_0 drop constraint staging_pkey;
alter table staging_0
    add column place smallint not null default 0,
    add column weight integer not null default 0;
alter table staging_0 alter column weight drop default;

create table staging (
    place      smallint not null,
    agent_key  integer  not null,
    ts         bigint   not null,
    epoch      bigint   not null,
    seq        bigint   not null,
    weight     integer  not null,
    payload    bytea    not null
) partition by list (place);

-- By agent, since a slot is small enough for an index in no order of time: it finds one agent's samples, knows a sample
-- that comes again, and gives compaction its order. Nothing is ever deleted or updated in a slot, so there is nothing to vacuum.
do $$
begin
    for place in 0..7 loop
        if place > 0 then
            execute format('create table staging_%s (like staging including defaults)', place);
            execute format('alter table staging_%s alter column place set default %s', place, place);
        end if;
        execute format('create unique index staging_%s_key on staging_%s (agent_key, ts, epoch, seq)', place, place);
        execute format('alter table staging_%s alter column payload set storage external', place);
        execute format(
            'alter table staging_%s set (autovacuum_enabled = false, toast.autovacuum_enabled = false, toast_tuple_target = 8160)',
            place);
        execute format('alter table staging attach partition staging_%s for values in (%s)', place, place);
    end loop;
end $$;

-- Chunks: compressed samples of one agent. The payload is kept out of the row and uncompressed, so that a slice of it is read
-- without the rest. Level 0 comes and goes; level 1 stays until retention drops its day.
create sequence chunk_rev as integer cycle;

create table chunk (
    agent_key  integer  not null,
    t0         bigint   not null,
    rev        integer  not null,
    t1         bigint   not null,
    level      smallint not null,
    n          integer  not null,
    directory  bytea    not null,
    payload    bytea    not null
) partition by list (level);
alter table chunk alter column directory set storage external, alter column payload set storage external;

create table chunk_small partition of chunk (primary key (agent_key, t0, rev)) for values in (0)
    with (toast_tuple_target = 4080, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);

create table chunk_full partition of chunk (primary key (agent_key, t0, rev)) for values in (1)
    partition by range (t0);

-- Hourly rollups of what full chunks hold. The series of an agent are numbered; a row has those from block * 72 on, in
-- the order of their numbers, each at its own place in the arrays. A series without samples has the count 0.
create table series (
    agent_key  integer  not null,
    id         integer  not null,
    metric     smallint not null,
    -- Empty for a metric of the whole host.
    device     text     not null,
    primary key (agent_key, metric, device)
);

create table rollup (
    agent_key  integer   not null,
    block      integer   not null,
    hour       bigint    not null,
    count      integer[] not null,
    -- Of a counter, the last value.
    mean       float8[]  not null,
    min        real[]    not null,
    max        real[]    not null,
    primary key (agent_key, block, hour)
) partition by range (hour);

-- Full chunks have a partition for each day, rollups for each thirty days, made when they are needed and dropped whole by
-- retention. What is from before this version came has one of each, from which rows are deleted.
do $$
declare
    day constant bigint := 86400000;
    now constant bigint := (extract(epoch from now()) * 1000)::bigint;
begin
    execute format('create table chunk_early partition of chunk_full for values from (minvalue) to (%s)', now / day * day);
    execute format(
        'create table rollup_early partition of rollup for values from (minvalue) to (%s)', now / (30 * day) * (30 * day));
end $$;
alter table chunk_early set (toast_tuple_target = 4080);
create index chunk_early_by_end on chunk_early (t1);
create index rollup_early_by_hour on rollup_early (hour);

-- The catalogue, filled in by the program.
create table metric (
    id           smallint primary key,
    path         text     not null,
    unit         text     not null,
    kind         text     not null,
    description  text     not null
);

-- The points of an agent in small chunks, and since when the oldest of them waits to be merged.
alter table ledger
    add column small_points bigint not null default 0,
    add column small_since bigint;

-- How long to keep an agent's samples and rollups; null as the configuration says.
alter table agent
    add column keep_raw_ms bigint,
    add column keep_rollups_ms bigint;
