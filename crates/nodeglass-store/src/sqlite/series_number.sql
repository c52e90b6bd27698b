select id from series where agent_key = $1 and metric = $2 and device = $3
