delete from invitation where agent_key = $1
