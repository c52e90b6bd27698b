delete from task
where last_seen_at < $1::bigint - (select least($2::bigint, min(keep_raw_ms)) from agent)
    and last_seen_at < $1 - coalesce((select keep_raw_ms from agent where key = task.agent_key), $2)
