delete from agent_group where name = $1
