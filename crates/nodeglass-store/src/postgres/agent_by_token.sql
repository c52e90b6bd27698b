select key, id, token_hash, system_info::text from agent where token_hash = $1
