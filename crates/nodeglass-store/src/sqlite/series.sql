select id, metric, device from series where agent_key = $1 order by metric, device
