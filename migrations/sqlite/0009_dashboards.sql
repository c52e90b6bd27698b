-- Dashboards that people made and share. The body is the page's business: JSON of what is shown where. A revision counts
-- up with each change, so that two who change one at once don't undo each other unseen.
create table dashboard (
    id        text    primary key,
    name      text    not null,
    body      text    not null,
    revision  integer not null,
    saved_at  integer not null,
    saved_by  text    not null
) strict;
