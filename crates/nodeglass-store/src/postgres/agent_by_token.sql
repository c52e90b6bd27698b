select key, id, system_info::text from agent where token_hash = $1
