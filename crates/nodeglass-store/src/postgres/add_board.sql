insert into dashboard (id, name, body, revision, saved_at, saved_by)
select $1::text, $2::text, $3::text, 1, $4::bigint, $5::text where (select count(*) from dashboard) < $6::bigint
on conflict (id) do nothing
