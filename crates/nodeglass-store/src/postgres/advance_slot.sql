update slot set done_through = $3 where id = $1 and done_through = $2 and closed_at is not null and done_at is null
