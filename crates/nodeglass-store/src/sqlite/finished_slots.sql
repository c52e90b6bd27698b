select id from slot where done_at is not null order by id
