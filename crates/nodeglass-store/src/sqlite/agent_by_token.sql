select key, id, token_hash, system_info from agent where token_hash = $1
