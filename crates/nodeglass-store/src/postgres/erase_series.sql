delete from series where agent_key = $1
