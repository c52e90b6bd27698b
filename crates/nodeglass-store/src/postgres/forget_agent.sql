insert into forgotten (agent_key, id, at, keeps_data) select key, id, $2, $3 from agent where key = $1
