delete from event
where agent_key = $1 and id <= (select id from event where agent_key = $1 order by id desc limit 1 offset $2)
