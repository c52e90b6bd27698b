delete from event where id in (select id from event where at < $1 order by at limit $2)
