insert into ledger as book (agent_key, stored, duplicate, small_points, small_since)
select agent_key, stored, duplicate, points, case when points > 0 then $5::bigint end
from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[]) as packed (agent_key, stored, duplicate, points)
on conflict (agent_key) do update
    set stored = book.stored + excluded.stored,
        duplicate = book.duplicate + excluded.duplicate,
        small_points = book.small_points + excluded.small_points,
        small_since = coalesce(book.small_since, excluded.small_since)
