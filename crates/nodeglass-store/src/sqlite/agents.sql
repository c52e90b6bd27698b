select key, id, token_hash, system_info from agent order by id
