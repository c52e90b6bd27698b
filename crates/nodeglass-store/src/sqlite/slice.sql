select substr(payload, $4 + 1, $5) from chunk where rev = $3 and agent_key = $1 and t0 = $2
