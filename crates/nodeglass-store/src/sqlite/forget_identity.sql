delete from agent_identity where agent_key = $1
