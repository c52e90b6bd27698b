-- Who may call: more of tokens, users, sessions; and the log of what they changed and were denied. Times are Unix
-- milliseconds. `agents` is a selector, an entry on each line; null selects all agents.

alter table api_token add column agents text;
alter table api_token add column expires_at bigint;
alter table api_token add column last_used_at bigint;

create table app_user (
    name                 text    primary key,
    role                 text    not null check (role in ('viewer', 'operator', 'admin')),
    agents               text,
    -- A PHC string of argon2id.
    password_hash        text    not null,
    created_at           bigint  not null,
    password_changed_at  bigint  not null,
    -- The secret of one-time codes, sealed with the server's key; null without them.
    totp_secret          bytea,
    -- The time step of the last code that was taken: none is taken twice.
    totp_step            bigint  not null default 0
);

create table recovery_code (
    user_name  text not null references app_user (name) on delete cascade,
    code_hash  bytea not null,
    primary key (user_name, code_hash)
);

create table session (
    token_hash    bytea   primary key,
    id            text    not null unique,
    -- 'token', 'user' or 'oidc': what was signed in with, and its name.
    kind          text    not null check (kind in ('token', 'user', 'oidc')),
    name          text    not null,
    -- What a provider's claims made of it; null where the token or the user says it.
    role          text    check (role in ('viewer', 'operator', 'admin')),
    agents        text,
    -- The provider, and the settings by which its claims were read.
    provider      text,
    created_at    bigint  not null,
    last_seen_at  bigint  not null,
    expires_at    bigint  not null,
    address       text    not null
);

create index session_by_name on session (kind, name);

-- Counts changes of the tables above, so that a server notices those of other programs.
create table identity_version (
    one      integer primary key check (one = 1),
    version  bigint  not null
);

insert into identity_version (one, version) values (1, 1);

create table audit (
    id          bigint generated always as identity primary key,
    at          bigint  not null,
    kind        text    not null,
    name        text    not null,
    address     text    not null,
    action      text    not null,
    subject     text    not null,
    outcome     text    not null check (outcome in ('done', 'denied', 'failed')),
    detail      text    not null,
    request_id  text    not null,
    -- How many alike it stands for.
    count       bigint  not null
);

create index audit_by_time on audit (at);
