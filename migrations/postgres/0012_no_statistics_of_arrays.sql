-- Nobody asks for rows by what their arrays hold. Counting elements for the planner, each time that autovacuum came by, cost more than
-- everything else that is done with the newest samples.
alter table latest
    alter column payload set statistics 0,
    alter column series set statistics 0,
    alter column value set statistics 0;
alter table series
    alter column metric set statistics 0,
    alter column device set statistics 0;
alter table agent_side alter column books set statistics 0;
alter table rollup
    alter column count set statistics 0,
    alter column mean set statistics 0,
    alter column min set statistics 0,
    alter column max set statistics 0;
