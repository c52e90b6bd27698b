-- Agents as people manage them: labels, groups, settings, former names, what was forgotten, and events. Times are Unix
-- milliseconds. An agent's key stays for good, whatever it is called.

create table registry (
    agent_key   integer primary key,
    -- What was said on the server. A label of null takes away one of the agent's own.
    labels      jsonb   not null default '{}',
    -- What the agent says of itself.
    own_labels  jsonb   not null default '{}',
    -- What is asked of this agent alone.
    settings    jsonb   not null default '{}',
    -- What the agent last said is in force.
    report      jsonb,
    version     text,
    -- The epoch of its samples, and when its host started: what tells a restart.
    epoch       bigint,
    booted_at   bigint
);

create table agent_group (
    name      text     primary key,
    -- Of two groups that ask for the same thing, the higher place decides.
    place     integer  not null,
    -- Names, patterns and labels, in JSON.
    selector  jsonb    not null,
    settings  jsonb    not null
);

-- Names that agents had before.
create table alias (
    agent_key  integer not null,
    id         text    not null,
    since      bigint  not null,
    primary key (agent_key, id)
);

-- Agents that were forgotten. What is of them goes in the background (done_at), or stays and comes back with the name.
create table forgotten (
    agent_key   integer primary key,
    id          text    not null,
    at          bigint  not null,
    keeps_data  boolean not null,
    done_at     bigint
);
create index forgotten_by_id on forgotten (id);

-- What happened, the agent's name as it was then. Without an agent it is of the server, or of one that is forgotten.
create table event (
    -- Rises with time; made by the server.
    id         bigint  primary key,
    at         bigint  not null,
    agent_key  integer,
    agent      text,
    kind       text    not null,
    detail     jsonb
);
create index event_by_agent on event (agent_key, id);
create index event_by_time on event (at);
