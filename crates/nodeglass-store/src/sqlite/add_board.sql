insert into dashboard (id, name, body, revision, saved_at, saved_by)
select $1, $2, $3, 1, $4, $5 where (select count(*) from dashboard) < $6
on conflict (id) do nothing
