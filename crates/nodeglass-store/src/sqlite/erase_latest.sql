delete from latest where agent_key = $1
