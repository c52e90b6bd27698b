-- Agents have keys of their own, in place of tokens. Times are Unix milliseconds.

-- A column that is unique can't be dropped, so the table is made anew. The views go on to name it.
pragma legacy_alter_table = on;
create table agent_before (
    key                 integer primary key,
    id                  text    not null unique,
    enrolled_at         integer not null,
    system_info         text,
    keep_raw_ms         integer,
    keep_rollups_ms     integer
) strict;
insert into agent_before (key, id, enrolled_at, system_info, keep_raw_ms, keep_rollups_ms)
select key, id, enrolled_at, system_info, keep_raw_ms, keep_rollups_ms from agent;
drop table agent;
alter table agent_before rename to agent;
pragma legacy_alter_table = off;

-- The key that an agent has now, as SHA-256 of its SubjectPublicKeyInfo. An agent without one opens no session.
create table agent_identity (
    agent_key    integer primary key,
    key_hash     blob    not null unique,
    enrolled_at  integer not null,
    -- The fleet token that it was enrolled with, if it was one.
    fleet        text
) strict;

-- Strings that make a host an agent, one for each agent at most. Whoever has used one may use it again.
create table invitation (
    agent_key   integer primary key,
    token_hash  blob    not null unique,
    expires_at  integer not null,
    used_by     blob
) strict;

-- Strings that make many hosts agents.
create table fleet_token (
    name        text    primary key,
    token_hash  blob    not null unique,
    created_at  integer not null,
    expires_at  integer,
    max_uses    integer,
    uses        integer not null default 0,
    -- What names must be like, with * and ?.
    pattern     text    not null,
    -- What agents are given, as JSON.
    labels      text    not null,
    revoked_at  integer
) strict;

-- Keys that are no agent's any more, and will never be one's again, in the order in which that was said.
create table revocation (
    number      integer primary key,
    key_hash    blob    not null unique,
    agent_key   integer not null,
    revoked_at  integer not null
) strict;

-- How many revocations there are, and the name by which agents sign for this server and no other.
create table enrolment_state (
    one          integer primary key check (one = 1),
    revocations  integer not null,
    server_id    blob
) strict;
insert into enrolment_state (one, revocations) values (1, 0);
