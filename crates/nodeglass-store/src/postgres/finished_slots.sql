select id, place from slot where done_at <= $1 order by id
