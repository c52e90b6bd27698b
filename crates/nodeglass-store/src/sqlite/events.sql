select id, at, agent_key, agent, kind, detail from event
where id < $1 and at >= $2 and at < $3 and ($4 = '' or instr($4, ',' || kind || ',') > 0)
order by id desc limit $5
