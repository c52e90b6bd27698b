select key, id, system_info::text from agent order by key desc limit $1
