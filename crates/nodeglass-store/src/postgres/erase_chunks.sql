delete from chunk where agent_key = $1 and (t0, rev) in (select t0, rev from chunk where agent_key = $1 limit $2)
