-- How often the rollups of an agent have changed. Who has read them need not do so again as long as it stays the same.
alter table ledger
    add column rollup_version bigint not null default 0;
