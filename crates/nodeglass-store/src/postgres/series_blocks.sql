select block, metric, device from series where agent_key = $1 order by block
