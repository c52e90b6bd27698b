update slot set closed_at = $2
where id = $1 and closed_at is null
    and exists (select 1 from generate_series(0, 7) as place where place not in (select slot.place from slot))
