insert into ledger (agent_key, stored, duplicate, small_points, small_since)
values ($1, $2, $3, $4, case when $4 > 0 then $5 end)
on conflict (agent_key) do update
    set stored = ledger.stored + excluded.stored,
        duplicate = ledger.duplicate + excluded.duplicate,
        small_points = ledger.small_points + excluded.small_points,
        small_since = coalesce(ledger.small_since, excluded.small_since)
