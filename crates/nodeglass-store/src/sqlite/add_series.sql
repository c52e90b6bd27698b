insert into series (agent_key, id, metric, device) values ($1, $2, $3, $4)
