insert into metric as known (id, path, unit, kind, description)
select * from unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[])
on conflict (id) do update
    set path = excluded.path, unit = excluded.unit, kind = excluded.kind, description = excluded.description
    where (known.path, known.unit, known.kind, known.description)
        is distinct from (excluded.path, excluded.unit, excluded.kind, excluded.description)
