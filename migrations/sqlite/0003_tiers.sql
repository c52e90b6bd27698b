-- The three tiers: staging in slots of arrival time, chunks, hourly rollups. Times are Unix milliseconds.

-- A slot is a stretch of arrival time. Samples go to the one that is open; a closed one never changes again, becomes small
-- chunks agent after agent (done_through), and is then removed.
create table slot (
    id            integer primary key autoincrement,
    opened_at     integer not null,
    closed_at     integer,
    done_at       integer,
    -- Agents up to this key are in chunks. One less than the lowest key: none. The highest: all.
    done_through  integer not null default -2147483649,
    -- No sample of the slot is earlier or later.
    min_ts        integer not null default 9223372036854775807,
    max_ts        integer not null default -9223372036854775808,
    bytes         integer not null default 0
) strict;

create unique index one_open_slot on slot (closed_at is null) where closed_at is null;

-- What was staged before becomes the first closed slot. Its samples are in the ledger already, so they weigh nothing.
insert into slot (opened_at, closed_at, min_ts, max_ts)
select unixepoch() * 1000, unixepoch() * 1000, coalesce(min(ts), 0), coalesce(max(ts), 0) from staging;
insert into slot (opened_at) values (unixepoch() * 1000);

alter table latest add column payload blob;
-- The values of the sample, by the numbers of the agent's series: two arrays in JSON.
alter table latest add column series text;
alter table latest add column value text;
update latest set payload = (
    select payload from staging
    where staging.ts = latest.ts and staging.agent_key = latest.agent_key
        and staging.epoch = latest.epoch and staging.seq = latest.seq
);

alter table staging rename to staging_before;
-- The time comes before the agent: samples arrive in order of time, so writes go to one end of the tree (the other order
-- costs seven times the disk writes). The payload stands apart from the key, so that looking for one agent's samples
-- passes over keys alone.
create table staging (
    slot       integer not null,
    ts         integer not null,
    agent_key  integer not null,
    epoch      integer not null,
    seq        integer not null,
    weight     integer not null,
    payload    blob    not null
) strict;
create unique index staging_key on staging (slot, ts, agent_key, epoch, seq);
insert into staging (slot, ts, agent_key, epoch, seq, weight, payload)
select 1, ts, agent_key, epoch, seq, 0, payload from staging_before order by ts, agent_key, epoch, seq;
drop table staging_before;

-- Chunks: compressed samples of one agent. The directory stands before the payload, so that it is read without it.
create table chunk (
    rev        integer primary key autoincrement,
    agent_key  integer not null,
    t0         integer not null,
    t1         integer not null,
    level      integer not null,
    n          integer not null,
    directory  blob    not null,
    payload    blob    not null
) strict;
create index chunk_key on chunk (agent_key, t0, t1);
create index chunk_by_end on chunk (level, t1);

-- Hourly rollups of what full chunks hold. The series of an agent are numbered; a row has those from block * 72 on, in
-- the order of their numbers, each at its own place in the arrays, which are JSON. A series without samples has the count 0.
create table series (
    agent_key  integer not null,
    id         integer not null,
    metric     integer not null,
    -- Empty for a metric of the whole host.
    device     text    not null,
    primary key (agent_key, metric, device)
) strict, without rowid;

create table rollup (
    agent_key  integer not null,
    block      integer not null,
    hour       integer not null,
    count      text    not null,
    -- Of a counter, the last value.
    mean       text    not null,
    min        text    not null,
    max        text    not null,
    primary key (agent_key, block, hour)
) strict, without rowid;
create index rollup_by_hour on rollup (hour);

-- The catalogue, filled in by the program.
create table metric (
    id           integer primary key,
    path         text    not null,
    unit         text    not null,
    kind         text    not null,
    description  text    not null
) strict;

-- The points of an agent in small chunks, and since when the oldest of them waits to be merged.
alter table ledger add column small_points integer not null default 0;
alter table ledger add column small_since integer;

-- How long to keep an agent's samples and rollups; null as the configuration says.
alter table agent add column keep_raw_ms integer;
alter table agent add column keep_rollups_ms integer;
