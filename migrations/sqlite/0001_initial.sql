-- Agents, the tokens of people and programs, and the staging tier of samples. Times are Unix milliseconds.

create table agent (
    key          integer primary key,
    id           text    not null unique,
    token_hash   blob    not null unique,
    enrolled_at  integer not null,
    system_info  text
) strict;

create table api_token (
    name        text    primary key,
    role        text    not null check (role in ('viewer', 'operator', 'admin')),
    token_hash  blob    not null unique,
    created_at  integer not null
) strict;

-- Time comes first in the key: samples arrive in order of time, so writes go to one end of the tree (the other order
-- costs seven times the disk writes). The identity (epoch, seq) belongs to it, so that a clock that was set back
-- can't make two samples look like one.
create table staging (
    ts         integer not null,
    agent_key  integer not null,
    epoch      integer not null,
    seq        integer not null,
    payload    blob    not null,
    primary key (ts, agent_key, epoch, seq)
) strict, without rowid;

-- The newest sample of each agent, as a pointer into staging.
create table latest (
    agent_key  integer primary key,
    ts         integer not null,
    epoch      integer not null,
    seq        integer not null
) strict;
