select agent_key, key_hash from agent_identity
