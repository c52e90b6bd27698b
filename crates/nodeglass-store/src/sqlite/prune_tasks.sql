delete from task
where last_seen_at < $1 - (select min($2, coalesce(min(keep_raw_ms), $2)) from agent)
    and last_seen_at < $1 - coalesce((select keep_raw_ms from agent where key = task.agent_key), $2)
