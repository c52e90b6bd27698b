select key, id, system_info from agent order by key desc limit $1
