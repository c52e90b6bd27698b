insert into chunk (agent_key, t0, t1, level, n, directory, payload) values ($1, $2, $3, $4, $5, $6, $7)
