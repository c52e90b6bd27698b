select agent_key, books from agent_side
