insert into metric (id, path, unit, kind, description)
values ($1, $2, $3, $4, $5)
on conflict (id) do update
    set path = excluded.path, unit = excluded.unit, kind = excluded.kind, description = excluded.description
    where (metric.path, metric.unit, metric.kind, metric.description)
        is not (excluded.path, excluded.unit, excluded.kind, excluded.description)
