select id, done_through from slot where closed_at is not null and done_at is null order by id
