-- Agents, the tokens of people and programs, and the staging tier of samples. Times are Unix milliseconds.

create table agent (
    key          integer generated always as identity primary key,
    id           text   not null unique,
    token_hash   bytea  not null unique,
    enrolled_at  bigint not null,
    system_info  jsonb
);

create table api_token (
    name        text   primary key,
    role        text   not null check (role in ('viewer', 'operator', 'admin')),
    token_hash  bytea  not null unique,
    created_at  bigint not null
);

-- Time comes first in the key: samples arrive in order of time, so writes go to one end of the index. The identity
-- (epoch, seq) belongs to it, so that a clock that was set back can't make two samples look like one.
create table staging (
    ts         bigint  not null,
    agent_key  integer not null,
    epoch      bigint  not null,
    seq        bigint  not null,
    payload    bytea   not null,
    primary key (ts, agent_key, epoch, seq)
);

-- The newest sample of each agent, as a pointer into staging. Updated in place with every group.
create table latest (
    agent_key  integer primary key,
    ts         bigint  not null,
    epoch      bigint  not null,
    seq        bigint  not null
) with (fillfactor = 50);
