delete from registry where agent_key = $1
