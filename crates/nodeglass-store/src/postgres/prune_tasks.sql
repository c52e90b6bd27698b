delete from task where last_seen_at < $1
