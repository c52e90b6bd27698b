update forgotten set done_at = $2 where agent_key = $1
