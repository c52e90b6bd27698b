update latest set payload = null, series = null, value = null
where payload is not null and ts < $1 - coalesce((select keep_raw_ms from agent where key = latest.agent_key), $2)
