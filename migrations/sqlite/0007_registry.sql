-- Agents as people manage them: labels, groups, settings, former names, what was forgotten, and events. Times are Unix
-- milliseconds. An agent's key stays for good, whatever it is called.

create table registry (
    agent_key   integer primary key,
    -- What was said on the server. A label of null takes away one of the agent's own.
    labels      text    not null default '{}',
    -- What the agent says of itself.
    own_labels  text    not null default '{}',
    -- What is asked of this agent alone.
    settings    text    not null default '{}',
    -- What the agent last said is in force.
    report      text,
    version     text,
    -- The epoch of its samples, and when its host started: what tells a restart.
    epoch       integer,
    booted_at   integer
) strict;

create table agent_group (
    name      text     primary key,
    -- Of two groups that ask for the same thing, the higher place decides.
    place     integer  not null,
    -- Names, patterns and labels, in JSON.
    selector  text     not null,
    settings  text     not null
) strict;

-- Names that agents had before.
create table alias (
    agent_key  integer not null,
    id         text    not null,
    since      integer not null,
    primary key (agent_key, id)
) strict, without rowid;

-- Agents that were forgotten. What is of them goes in the background (done_at), or stays and comes back with the name. Rows
-- stay, so that no key is given to another agent.
create table forgotten (
    agent_key   integer primary key,
    id          text    not null,
    at          integer not null,
    keeps_data  integer not null,
    done_at     integer
) strict;
create index forgotten_by_id on forgotten (id);

-- An agent that comes back is not forgotten.
create trigger remembered after insert on agent begin
    delete from forgotten where agent_key = new.key;
end;

-- What happened, the agent's name as it was then. Without an agent it is of the server, or of one that is forgotten.
create table event (
    -- Rises with time; made by the server.
    id         integer primary key,
    at         integer not null,
    agent_key  integer,
    agent      text,
    kind       text    not null,
    detail     text
) strict;
create index event_by_agent on event (agent_key, id);
create index event_by_time on event (at);
