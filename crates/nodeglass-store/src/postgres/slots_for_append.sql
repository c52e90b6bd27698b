select id, place, closed_at is null, min_ts, max_ts from slot where done_at is null
