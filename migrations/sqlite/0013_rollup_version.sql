-- Another number with each change of the rollups of an agent. Who has read them need not do so again as long as it stays the same.
alter table ledger
    add column rollup_version integer not null default 0;
