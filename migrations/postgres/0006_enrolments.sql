-- Agents have keys of their own, in place of tokens. Times are Unix milliseconds.

alter table agent drop column token_hash;

-- The key that an agent has now, as SHA-256 of its SubjectPublicKeyInfo. An agent without one opens no session.
create table agent_identity (
    agent_key    integer primary key,
    key_hash     bytea   not null unique,
    enrolled_at  bigint  not null,
    -- The fleet token that it was enrolled with, if it was one.
    fleet        text
);

-- Strings that make a host an agent, one for each agent at most. Whoever has used one may use it again.
create table invitation (
    agent_key   integer primary key,
    token_hash  bytea   not null unique,
    expires_at  bigint  not null,
    used_by     bytea
);

-- Strings that make many hosts agents.
create table fleet_token (
    name        text    primary key,
    token_hash  bytea   not null unique,
    created_at  bigint  not null,
    expires_at  bigint,
    max_uses    bigint,
    uses        bigint  not null default 0,
    -- What names must be like, with * and ?.
    pattern     text    not null,
    -- What agents are given, as JSON.
    labels      text    not null,
    revoked_at  bigint
);

-- Keys that are no agent's any more, and will never be one's again, in the order in which that was said.
create table revocation (
    number      bigint  primary key,
    key_hash    bytea   not null unique,
    agent_key   integer not null,
    revoked_at  bigint  not null
);

-- How many revocations there are, and the name by which agents sign for this server and no other.
create table enrolment_state (
    one          integer primary key check (one = 1),
    revocations  bigint  not null,
    server_id    bytea
);
insert into enrolment_state (one, revocations) values (1, 0);
