select id, at, agent_key, agent, kind, detail::text from event
where agent_key = $6 and id < $1 and at >= $2 and at < $3 and ($4 = '' or position(',' || kind || ',' in $4) > 0)
order by id desc limit $5
