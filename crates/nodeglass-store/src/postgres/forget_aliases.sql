delete from alias where agent_key = $1
