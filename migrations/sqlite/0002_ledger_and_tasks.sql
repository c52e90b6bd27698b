-- The ledger: what became of each agent's samples. The server's counts are kept with the samples themselves, in one
-- transaction; the agent's side is what it last said, apart from the counts because those change with every group.

create table ledger (
    agent_key   integer primary key,
    stored      integer not null default 0,
    duplicate   integer not null default 0
) strict;

create table agent_side (
    agent_key  integer primary key,
    books      text not null
) strict;

-- Programs that agents were asked to follow, from start to end.
create table task (
    agent_key          integer not null,
    task_id            text    not null,
    started_at         integer  not null,
    last_seen_at       integer  not null,
    ended_at           integer,
    exit_code          integer,
    command            text    not null,
    cpu_time_ms        integer,
    peak_memory_bytes  integer,
    primary key (agent_key, task_id, started_at)
) strict;

create index task_by_start on task (agent_key, started_at);
create index task_by_last_seen on task (last_seen_at);
