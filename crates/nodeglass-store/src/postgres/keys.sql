select key from agent
