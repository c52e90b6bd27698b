delete from chunk where rev in (select rev from chunk where agent_key = $1 limit $2)
