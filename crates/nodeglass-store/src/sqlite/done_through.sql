select done_through from slot where id = $1 and closed_at is not null and done_at is null
