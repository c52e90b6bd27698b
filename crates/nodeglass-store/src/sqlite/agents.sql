select key, id, system_info from agent order by id
