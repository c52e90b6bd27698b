select key, id, token_hash, system_info::text from agent order by id
