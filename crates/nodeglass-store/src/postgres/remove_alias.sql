delete from alias where agent_key = $1 and id = $2
