select block, count, mean, min, max from rollup where agent_key = $1 and hour = $2
