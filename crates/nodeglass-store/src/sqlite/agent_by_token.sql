select key, id, system_info from agent where token_hash = $1
