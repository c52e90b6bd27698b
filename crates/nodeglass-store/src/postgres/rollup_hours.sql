select block, hour, count, mean, min, max from rollup where agent_key = $1 and hour = any ($2::bigint[])
