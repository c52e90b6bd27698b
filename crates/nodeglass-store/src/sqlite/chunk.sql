select t0, rev, t1, level, n, directory, payload from chunk where rev = $3 and agent_key = $1 and t0 = $2
