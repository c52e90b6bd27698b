delete from agent_side where agent_key = $1
