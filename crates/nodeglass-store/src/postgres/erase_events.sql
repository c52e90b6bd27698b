delete from event where id in (select id from event where agent_key = $1 limit $2)
