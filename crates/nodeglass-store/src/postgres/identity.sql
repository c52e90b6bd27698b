select key_hash from agent_identity where agent_key = $1 for update
