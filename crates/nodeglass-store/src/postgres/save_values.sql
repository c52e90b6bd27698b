update latest set series = $4, value = $5 where agent_key = $1 and epoch = $2 and seq = $3
