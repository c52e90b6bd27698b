update invitation set used_by = $2 where agent_key = $1
